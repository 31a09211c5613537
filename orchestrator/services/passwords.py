"""Passwords: kept as hashes that are slow to make."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher()


def hashed(password: str) -> str:
    """Takes 64 MiB and a core for a moment; so does `opens`."""
    return _HASHER.hash(password)


def opens(known: str, password: str) -> bool:
    """Whether `known` is a hash of it."""
    try:
        return _HASHER.verify(known, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def nobodys() -> str:
    """What an unknown name is held against, so that it takes as long as a known one."""
    return hashed("nobody's password")
