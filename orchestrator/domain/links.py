"""Links: those that open one result for a while, without a key (what is signed is in the
address), and those into Flower."""

import hashlib
import hmac
from uuid import UUID

from schemas.task import window_task


def signature(secret: bytes, job: UUID, expires: int) -> str:
    """Hexadecimal. `expires` is in seconds since the epoch."""
    return hmac.new(secret, f"result {job} {expires}".encode(), hashlib.sha256).hexdigest()


def opens(secret: bytes, job: UUID, expires: int, signed: str, *, now: float) -> bool:
    return now < expires and hmac.compare_digest(
        signature(secret, job, expires).encode(), signed.encode()
    )


def flower_task(flower_url: str, window: int) -> str:
    """Where Flower shows a window, for as long as it remembers it."""
    return f"{flower_url}/task/{window_task(window)}"
