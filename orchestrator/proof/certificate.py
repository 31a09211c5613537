"""Signs certificates, and checks them with nothing but their text."""

import base64
import binascii
import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from orchestrator.proof.exclusive import findings_in
from schemas.certificate import Certificate, CertificateKey, SignedCertificate

LARGEST: Final = 64 * 1024 * 1024


class Untrusted(Exception):
    """The text says why nothing in the certificate can be believed."""


def public_key(private: bytes) -> CertificateKey:
    """`private` is the raw 32 bytes."""
    raw = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return CertificateKey(key_id=_id_of(raw), public_key=base64.b64encode(raw).decode())


def sign(certificate: Certificate, private: bytes) -> SignedCertificate:
    key = public_key(private)
    text = certificate.model_dump_json()
    signature = Ed25519PrivateKey.from_private_bytes(private).sign(text.encode())
    return SignedCertificate(
        certificate=text,
        signature=base64.b64encode(signature).decode(),
        public_key=key.public_key,
        key_id=key.key_id,
    )


def check(text: str, key: str | None = None) -> list[str]:
    """What speaks against a certificate, as `GET /v1/batches/{id}/certificate` gave it; nothing
    if it holds. `key` is the public key in base64 that it must be signed with; without one, that
    which it brings along is believed, and a forger brings his own."""
    try:
        certificate = read(text, key)
    except Untrusted as error:
        return [str(error)]
    return findings_in(certificate)


def read(text: str, key: str | None = None) -> Certificate:
    """Raises `Untrusted` unless it is signed, and signed with that key."""
    if len(text) > LARGEST:
        raise Untrusted(f"no certificate is larger than {LARGEST} characters")
    try:
        signed = SignedCertificate.model_validate_json(text)
    except ValidationError as error:
        raise Untrusted(f"not a certificate: {_first(error)}") from error
    raw = _decoded(signed.public_key, "public_key")
    if key is not None and _decoded(key.strip(), "the given key") != raw:
        raise Untrusted(f"signed with another key than the given one: {signed.key_id}")
    if _id_of(raw) != signed.key_id:
        raise Untrusted("key_id is not that of public_key")
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(
            _decoded(signed.signature, "signature"), signed.certificate.encode()
        )
    except (InvalidSignature, ValueError) as error:
        raise Untrusted("the signature is not of this text by this key") from error
    try:
        certificate = Certificate.model_validate_json(signed.certificate)
    except ValidationError as error:
        raise Untrusted(f"signed, but not a certificate: {_first(error)}") from error
    if certificate.key_id != signed.key_id:
        raise Untrusted("signed with another key than the one it names")
    return certificate


def _id_of(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:16]


def _decoded(text: str, field: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Untrusted(f"{field} is not base64") from error
    # Several texts decode to the same bytes; one of them is ours.
    if base64.b64encode(raw).decode() != text:
        raise Untrusted(f"{field} is not base64 as it is written here")
    return raw


def _first(error: ValidationError) -> str:
    flaw = error.errors()[0]
    return f"{'.'.join(map(str, flaw['loc'])) or 'the text'}: {flaw['msg']}"
