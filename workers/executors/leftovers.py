"""Ends what a worker that was killed left behind on this node."""

import logging
import os
import signal
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

MARK: Final = "HOLDFAST_EXECUTOR_OF"
"""Environment variable of every executor process; its children inherit it."""


def kill_leftovers(mark: str) -> list[int]:
    """Kills each process that carries `mark`: executors and what they started themselves.

    Only for whoever holds the journal's lock, since then no living worker owns them. Knows
    processes by Linux's /proc; elsewhere executors end by themselves when the pipe closes.
    """
    wanted = f"{MARK}={mark}".encode()
    killed: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            marked = wanted in (entry / "environ").read_bytes().split(b"\0")
            pid = int(entry.name)
            if not marked or pid == os.getpid():
                continue
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
        killed.append(pid)
    if killed:
        logger.warning("killed processes of a former worker: %s", killed)
    return killed
