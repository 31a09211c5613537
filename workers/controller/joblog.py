"""What a job prints, on its way to the server: in numbered chunks, best effort.

Each lane's executor writes into one file, which nobody has to read: a slow network never makes a
job wait. No job fails because of its log.
"""

import gzip
import logging
import re
import threading
from pathlib import Path
from typing import Final

from schemas.controller import LOG_BYTES
from workers.controller.link import Link, Refused, Unreachable

logger = logging.getLogger(__name__)

_PROGRESS: Final = re.compile(rb"^progress: ([01](?:\.\d{1,9})?)$", re.MULTILINE)
_CHUNKS_AT_ONCE: Final = 16
_EXPECTED: Final = ("Expected-Seq", "Expected-Offset")


class JobLog:
    """Of one run. Safe to use from two threads."""

    def __init__(self, file: Path, link: Link, path: str, epoch: int, chunk_bytes: int) -> None:
        self._file = file
        self._link = link
        self._path = path
        self._epoch = epoch
        # What cannot be packed grows a little.
        self._chunk = max(1, chunk_bytes - 1024)
        self._mutex = threading.Lock()
        self._offset = 0
        self._over = False
        self.seq = 0
        self.progress: float | None = None
        """What the job last said in a line of its own, `progress: 0.25`."""
        clear(file)

    def ship(self) -> None:
        """Sends what is new. Once the server refuses, or has had enough, nothing more is sent."""
        with self._mutex:
            for _ in range(_CHUNKS_AT_ONCE):
                chunk = self._next()
                if not chunk or not self._sent(chunk):
                    return

    def _next(self) -> bytes:
        try:
            if self._file.stat().st_size > 2 * LOG_BYTES:
                # Also of a log that is not sent any more: the disk is its user's.
                clear(self._file)
                self._over = True
            if self._over:
                return b""
            with self._file.open("rb") as log:
                log.seek(self._offset)
                return log.read(self._chunk)
        except OSError as error:
            logger.warning("the log of %s cannot be read: %s", self._path, error)
            return b""

    def _sent(self, chunk: bytes) -> bool:
        if said := _PROGRESS.findall(chunk):
            self.progress = min(1.0, float(said[-1]))
        try:
            self._link.send(
                "POST",
                self._path,
                gzip.compress(chunk, 5),
                headers={"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"},
                params={"epoch": self._epoch, "seq": self.seq, "offset": self._offset},
            )
        except Unreachable:
            return False
        except Refused as refused:
            return self._corrected(refused)
        self.seq += 1
        self._offset += len(chunk)
        return True

    def _corrected(self, refused: Refused) -> bool:
        """The server may say where it wants the log to go on; never before what it has."""
        try:
            seq, offset = (int(refused.headers[name]) for name in _EXPECTED)
        except (KeyError, ValueError):
            seq = offset = -1
        if refused.status != 409 or offset < self._offset or seq <= self.seq:
            logger.info("no more of this log is sent: %s", refused)
            self._over = True
            return False
        self.seq, self._offset = seq, offset
        return True


def clear(file: Path) -> None:
    """Whoever writes into it does so at its end, wherever that is."""
    try:
        with file.open("wb"):
            pass
    except OSError as error:
        logger.warning("%s: %s", file, error)
