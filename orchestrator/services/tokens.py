"""Tokens: a password, once shown, becomes a signed word that is good for a while.

A token says who somebody is. What they may touch is looked up at every call, so that leaving a
project needs no token to be taken back.
"""

import threading
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import jwt

from orchestrator.errors import Unauthorized, Unavailable
from orchestrator.services.core import Core
from orchestrator.services.passwords import nobodys, opens
from orchestrator.store import keys
from orchestrator.store.listings_reading import reading

TOKEN_TTL_S: Final = 12 * 3600
CLOCKS_DIFFER_S: Final = 30
ISSUER: Final = "holdfast"
_ALGORITHM: Final = "HS256"
# Each verification takes 64 MiB and a core for a moment: a flood of logins is turned away.
_TURNS: Final = threading.BoundedSemaphore(2)
_LINE: Final = threading.BoundedSemaphore(8)


def log_in(core: Core, username: str, password: str, at: datetime) -> str | None:
    """The token; None where the name or the password is wrong, without saying which."""
    with reading(core.engine) as connection:
        known = keys.password_of(connection, username)
    if not _LINE.acquire(blocking=False):
        raise Unavailable("too many are logging in; try again in a few seconds")
    try:
        with _TURNS:
            opened = opens(known[1] if known else nobodys(), password)
    finally:
        _LINE.release()
    if known is None or not opened:
        return None
    claims = {
        "iss": ISSUER,
        "sub": str(known[0]),
        "iat": at,
        "exp": at + timedelta(seconds=TOKEN_TTL_S),
    }
    return jwt.encode(claims, core.signing_secret, algorithm=_ALGORITHM)


def user_of(core: Core, token: str) -> UUID:
    """Raises Unauthorized with the reason."""
    try:
        claims = jwt.decode(
            token,
            core.signing_secret,
            algorithms=[_ALGORITHM],
            issuer=ISSUER,
            leeway=CLOCKS_DIFFER_S,
            options={"require": ["exp", "sub"]},
        )
        return UUID(claims["sub"])
    except jwt.ExpiredSignatureError:
        raise Unauthorized("the token has expired; log in again") from None
    except (jwt.InvalidTokenError, ValueError):
        raise Unauthorized("this token was not issued here; log in at /oauth/token") from None
