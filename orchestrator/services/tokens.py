"""Tokens: a password, once shown, becomes a signed word that is good for a while.

A token says who somebody is. What they may touch is looked up at every call, so that leaving a
project needs no token to be taken back.
"""

import hashlib
import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import jwt

from orchestrator.broker.rates import Rate
from orchestrator.errors import TooOften, Unauthorized, Unavailable
from orchestrator.services.core import Core
from orchestrator.services.passwords import nobodys, opens
from orchestrator.store import members
from orchestrator.store.listings_reading import reading

logger = logging.getLogger(__name__)

BOTH: Final = Rate("login", 10, 60)
ADDRESS: Final = Rate("login-address", 60, 60)
NAME: Final = Rate("login-name", 100, 3600)
"""Wrong passwords from one address for one name, from one address, and for one name."""
TOKEN_TTL_S: Final = 12 * 3600
CLOCKS_DIFFER_S: Final = 30
ISSUER: Final = "holdfast"
_ALGORITHM: Final = "HS256"
# Each has to wait for its turn at a slow hash: a flood of logins is turned away.
_LINE: Final = threading.BoundedSemaphore(8)


def log_in(core: Core, username: str, password: str, address: str, at: datetime) -> str | None:
    """The token; None where the name or the password is wrong, without saying which. Raises
    TooOften for a name, or an address, that was wrong too often."""
    user = opened(core, username, password, address)
    if user is None:
        return None
    claims = {
        "iss": ISSUER,
        "sub": str(user),
        "iat": at,
        "exp": at + timedelta(seconds=TOKEN_TTL_S),
    }
    return jwt.encode(claims, core.signing_secret, algorithm=_ALGORITHM)


def opened(core: Core, username: str, password: str, address: str) -> UUID | None:
    """The user whose name and password these are; otherwise as `log_in`."""
    check_patience(core, username, address)
    with reading(core.engine) as connection:
        known = members.password_of(connection, username)
    if not _LINE.acquire(blocking=False):
        raise Unavailable("too many are logging in; try again in a few seconds")
    try:
        right = opens(known[1] if known else nobodys(), password)
    finally:
        _LINE.release()
    if known is None or not right:
        remember_wrong(core, username, address)
        return None
    return known[0]


def _tries(username: str, address: str) -> tuple[tuple[Rate, str], ...]:
    """By whom a wrong password counts. The name alone has more room, so that a stranger does not
    lock its owner out at once."""
    name = hashlib.sha256(username.encode()).hexdigest()
    return (BOTH, f"{name}@{address}"), (ADDRESS, address), (NAME, name)


def check_patience(core: Core, username: str, address: str) -> None:
    with _without_redis():
        for rate, who in _tries(username, address):
            standing = core.rates.look(rate, who)
            if not standing.allowed:
                raise TooOften(
                    f"too many wrong passwords; try again in {standing.reset_s} seconds",
                    wait_s=standing.reset_s,
                )


def remember_wrong(core: Core, username: str, address: str) -> None:
    with _without_redis():
        for rate, who in _tries(username, address):
            core.rates.take(rate, who)


@contextmanager
def _without_redis() -> Generator[None]:
    """Who logs in is not held up by it: a guess takes long enough without."""
    try:
        yield
    except Unavailable:
        logger.warning("wrong passwords are not counted while the broker is away")


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
