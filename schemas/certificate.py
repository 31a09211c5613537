"""The exclusivity certificate of a batch: what the devices' own logs say of it, signed."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.words import BatchStatus


class _Exact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Slice(_Exact):
    """One stretch of one device's log: from the batch's first entry under one fence to its last,
    each as the raw line, with the entry before and the one after.

    `head` is the hash before the first line shown, so that the chain can be followed. `after` is
    None where the log ended when the certificate was made. Of a neighbour that is another
    project's only the hash is shown.
    """

    device: str
    journal: str
    fence: int
    head: str
    before: str | None
    entries: list[str]
    after: str | None


class Ends(_Exact):
    total: int
    done: int
    failed: int
    canceled: int


class Certificate(_Exact):
    """`unwitnessed`: jobs that ran, by their messages, on a device whose log never told of it. A
    job that is DONE is never among them."""

    version: Literal[1]
    batch: str
    status: Annotated[BatchStatus, Field(strict=False)]
    jobs: Ends
    issued_at: str
    key_id: str
    held: list[Slice]
    unwitnessed: list[str]


class CertificateKey(_Exact):
    """What signs certificates: Ed25519, the raw 32 bytes in base64. `key_id` is the beginning of
    their SHA-256."""

    key_id: str
    public_key: str
    algorithm: Literal["Ed25519"] = "Ed25519"


class SignedCertificate(_Exact):
    """`certificate` is JSON text, a `Certificate`, kept as text: the signature is of its bytes."""

    certificate: str
    signature: str
    public_key: str
    key_id: str
