"""Passwords: kept as hashes that are slow to make."""

import threading
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher()
# Each takes 64 MiB and a core for a moment, whoever asks for it.
_TURNS: Final = threading.BoundedSemaphore(2)


def hashed(password: str) -> str:
    """Slow, and so is `opens`; two at a time."""
    with _TURNS:
        return _HASHER.hash(password)


def opens(known: str, password: str) -> bool:
    """Whether `known` is a hash of it."""
    try:
        with _TURNS:
            return _HASHER.verify(known, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def nobodys() -> str:
    """What an unknown name is held against, so that it takes as long as a known one."""
    return hashed("nobody's password")
