"""What a controller says of itself to whoever asks on its own machine: a file in its folder."""

import fcntl
import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from workers.controller.config import Config, replace
from workers.controller.lane import Lane

logger = logging.getLogger(__name__)

FILE: Final = "status.json"
_EVERY_S: Final = 2.0


class Report:
    """Times are seconds since the epoch."""

    def __init__(self, folder: Path, config: Config) -> None:
        self._path = folder / FILE
        self._fixed = {
            "name": config.name,
            "url": config.url,
            "executor": config.executor,
            "lanes": config.width,
            "pid": os.getpid(),
            "since": time.time(),
        }
        self._last: Any = None
        self._written_at = 0.0

    def write(self, state: str, lease_left_s: float, lanes: Sequence[Lane]) -> None:
        running = [
            {
                "lane": lane.number,
                "job_id": held.lease.job_id,
                "job_type": held.lease.job_type,
                "since": time.time() - (time.monotonic() - held.since),
                "progress": held.log.progress,
            }
            for lane in lanes
            if (held := lane.held)
        ]
        key = state, [each["job_id"] for each in running]
        if key == self._last and time.monotonic() - self._written_at < _EVERY_S:
            return
        self._last, self._written_at = key, time.monotonic()
        self._put({"state": state, "lease_until": time.time() + lease_left_s, "running": running})

    def left(self, status: int) -> None:
        self._put({"state": "offline", "exit_status": status, "lease_until": None, "running": []})

    def _put(self, said: dict[str, Any]) -> None:
        try:
            replace(self._path, json.dumps({**self._fixed, **said, "at": time.time()}) + "\n")
        except OSError as error:
            logger.warning("%s: %s", self._path, error)


def read(folder: Path) -> dict[str, Any] | None:
    """What it last said; `state` is offline where no process is left. None: it never ran."""
    try:
        said = json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(said, dict):
        return None
    return said if is_running(folder) else {**said, "state": "offline", "running": []}


def is_running(folder: Path) -> bool:
    """By the lock of its journal, which no dead process holds and no pid can fake."""
    try:
        with (folder / "journal" / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
