"""How much silence of the server a long wait forgives."""

import time
from typing import Final

from holdfast.errors import HoldfastError

OUTAGE_S: Final = 60.0
"""A server that restarts is back well within this; a wait goes on as if nothing happened."""


class Patience:
    """Counts from the first failure in a row; a success resets it."""

    def __init__(self, outage_s: float = OUTAGE_S) -> None:
        self._outage_s = outage_s
        self._since: float | None = None

    def spend(self, error: HoldfastError) -> None:
        """Forgive this failure, or raise it when they have lasted too long."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since >= self._outage_s:
            raise error

    def reset(self) -> None:
        self._since = None
