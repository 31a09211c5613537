"""What can go wrong, as a tree.

HoldfastError
├── NotFound              also another project's: existence is never told
├── Conflict
│   ├── IllegalMove       the batch or job is in a state that forbids this
│   ├── BatchClosed       it takes no more jobs
│   ├── KeyReused         the idempotency key was used for another request
│   ├── CertificateNotReady  the devices' logs do not tell everything yet; ask again
│   └── NotCertifiable    they tell something that speaks against it
├── Rejected              well formed, but not allowed; names fields
├── Unavailable           a server that we need does not answer; try again later
├── Unauthorized          no key, or one that is not valid
├── Forbidden             the key lacks a scope
└── TooLarge              the body is over the limit
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Flaw:
    """One field of a request that must change: where, and what to do about it."""

    field: str
    message: str


class HoldfastError(Exception):
    code: ClassVar[str] = "internal"


class NotFound(HoldfastError):
    code = "not_found"


class Conflict(HoldfastError):
    code = "conflict"


class IllegalMove(Conflict):
    code = "illegal_move"


class BatchClosed(Conflict):
    code = "batch_closed"


class KeyReused(Conflict):
    code = "idempotency_key_reused"


class CertificateNotReady(Conflict):
    code = "certificate_not_ready"


class NotCertifiable(Conflict):
    code = "not_certifiable"


class Rejected(HoldfastError):
    code = "rejected"

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        super().__init__(_shown("; ".join(f"{flaw.field}: {flaw.message}" for flaw in flaws)))
        self.flaws = tuple(Flaw(_shown(flaw.field), _shown(flaw.message)) for flaw in flaws)


def _shown(text: str) -> str:
    """JSON may name half a character, which no answer can carry."""
    return text.encode("utf-8", "replace").decode()


class Unavailable(HoldfastError):
    code = "unavailable"


class Unauthorized(HoldfastError):
    code = "unauthorized"


class Forbidden(HoldfastError):
    code = "forbidden"


class TooLarge(HoldfastError):
    code = "too_large"
