"""Ships the witness log to the object store, in a thread of its own that delays nobody.

A segment is written whole, again and again, until it is full; then the next one begins. So a
process may die at any line: the next one writes the same bytes again.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from schemas.witness import segment_key
from workers.journal import Journal
from workers.results import ResultStore

logger = logging.getLogger(__name__)

SEGMENT_BYTES: Final = 2**20
EVERY_S: Final = 1.0
LONGEST_PAUSE_S: Final = 10.0
TOLD_EVERY_S: Final = 60.0
LAST_TRY_S: Final = 5.0
_LINES: Final = 500


class Shipper:
    """What is not shipped stays in the journal, in memory at most one segment."""

    def __init__(
        self,
        journal: Journal,
        *,
        device: str,
        store: Callable[[], ResultStore],
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """`store` is opened at the first need; it should try once and raise."""
        self._journal = journal
        self._device = device
        self._open = store
        self._store: ResultStore | None = None
        self._segment_bytes = segment_bytes
        self._first: int | None = None
        self._next = 0
        self._segment = bytearray()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)
        self._told_at = -TOLD_EVERY_S

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ships what is left, if the store takes it within some seconds."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(LAST_TRY_S)

    def ship(self) -> None:
        """Everything that there is now. Raises when the journal or the store refuses."""
        try:
            self._ship()
        except BaseException:
            # Read again from the journal: what was read is not known to be stored.
            self._first = None
            self._segment.clear()
            raise

    def _ship(self) -> None:
        if self._first is None:
            self._first = self._next = self._journal.segment()
        while self._read():
            self._journal.sync()
            self._put(segment_key(self._device, self._journal.id, self._first))
            if len(self._segment) >= self._segment_bytes:
                self._journal.forget_witnessed(self._next)
                self._first = self._next
                self._segment.clear()

    def _read(self) -> bool:
        """Fills the segment; whether there was anything new."""
        before = self._next
        while len(self._segment) < self._segment_bytes:
            lines = self._journal.witnessed(self._next, _LINES)
            for line in lines:
                self._segment += line + b"\n"
                self._next += 1
                if len(self._segment) >= self._segment_bytes:
                    break
            if len(lines) < _LINES:
                break
        return self._next > before

    def _put(self, key: str) -> None:
        if self._store is None:
            self._store = self._open()
        self._store.put(key, bytes(self._segment))

    def _run(self) -> None:
        pause_s = EVERY_S
        stopping = False
        while not stopping:
            # Looked at before shipping, so that what came before the stop is shipped after it.
            stopping = self._stopping.wait(pause_s)
            pause_s = EVERY_S if self._try() else min(pause_s * 2, LONGEST_PAUSE_S)

    def _try(self) -> bool:
        try:
            self.ship()
        except Exception as error:
            if time.monotonic() - self._told_at >= TOLD_EVERY_S:
                self._told_at = time.monotonic()
                logger.warning("the witness log is not shipped; it is kept here: %s", error)
            return False
        return True
