"""A job's checkpoint: a file that its executor replaces whenever it likes, sent on when it changed.

Whoever runs the job next finds it in the same place. See `workers/executors/base.py`.
"""

import base64
import hashlib
import logging
import threading
from pathlib import Path

from schemas.controller import CHECKPOINT_BYTES, CheckpointIn, Lease
from workers.controller.link import Link, Refused, Unreachable

logger = logging.getLogger(__name__)


class CheckpointFile:
    """Of one run, best effort. Safe to use from two threads."""

    def __init__(self, file: Path, link: Link, lease: Lease) -> None:
        self._file = file
        self._link = link
        self._path = f"/assignments/{lease.assignment_id}/checkpoint"
        self._epoch = lease.epoch
        self._mutex = threading.Lock()
        self._over = False
        self._seq = lease.checkpoint.seq if lease.checkpoint else 0
        try:
            file.unlink(missing_ok=True)
            if lease.checkpoint and lease.checkpoint.blob is not None:
                file.write_bytes(base64.b64decode(lease.checkpoint.blob))
        except (OSError, ValueError) as error:
            logger.warning("%s begins from its beginning: %s", lease.assignment_id, error)
        self._sent = self._look()

    def ship(self) -> None:
        with self._mutex:
            seen = self._look()
            if self._over or seen is None or seen == self._sent:
                return
            try:
                self._send(self._file.read_bytes())
            except (OSError, Unreachable) as error:
                logger.info("a checkpoint waits: %s", error)
                return
            except Refused as refused:
                logger.warning("no more checkpoints are sent: %s", refused)
                self._over = True
            self._sent = seen

    def _send(self, blob: bytes) -> None:
        if len(blob) > CHECKPOINT_BYTES:
            logger.warning("a checkpoint of %d bytes is too large to be kept", len(blob))
            return
        body = CheckpointIn(
            epoch=self._epoch,
            seq=self._seq + 1,
            sha256=hashlib.sha256(blob).hexdigest(),
            blob=base64.b64encode(blob).decode(),
        )
        self._link.send("PUT", self._path, body.model_dump_json(exclude_none=True).encode())
        self._seq += 1

    def _look(self) -> tuple[int, int, int] | None:
        try:
            at = self._file.stat()
        except OSError:
            return None
        return at.st_ino, at.st_mtime_ns, at.st_size
