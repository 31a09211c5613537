"""When keys were last used: noted in memory by every call, written down now and then.

What a process that dies had not written is lost, and harms nobody.
"""

from datetime import timedelta
from threading import Lock
from typing import Final
from uuid import UUID

from orchestrator.store import keys
from orchestrator.store.transaction import Transaction

WRITE_EVERY_S: Final = 5.0
AT_MOST_EVERY: Final = timedelta(minutes=1)
"""One key is written down no more often than that, however busy it is."""


class Uses:
    def __init__(self) -> None:
        self._keys: set[UUID] = set()
        self._lock = Lock()

    def note(self, key: UUID) -> None:
        with self._lock:
            self._keys.add(key)

    def take(self) -> set[UUID]:
        """Those noted since it was last asked."""
        with self._lock:
            taken, self._keys = self._keys, set()
        return taken


def write_down(tx: Transaction, used: set[UUID]) -> None:
    # In one order, so that two processes never wait for each other.
    keys.mark_used(tx, sorted(used), at_most_every=AT_MOST_EVERY)
