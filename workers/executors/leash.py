"""The leash: a process beside the worker that kills the executor when the lease is over.

A worker that is frozen (SIGSTOP, swap, a debugger) loses its device to a standby and cannot know;
its executor would go on. See `docs/adr/0013-leash.md`.
"""

import logging
import math
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from workers.executors.leftovers import MARK

logger = logging.getLogger(__name__)

_PROGRAM: Final = Path(__file__).with_name("watchdog.py")


class Leash:
    """Of one process group at a time. Safe from several threads; waits for nobody, never raises.

    `mark`: as an executor's, so that `kill_leftovers` finds this process, too.
    """

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._mutex = threading.Lock()
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._group = self._killed = 0
        self._killed_at = math.inf
        self._deadline = math.inf
        self._closed = False

    @property
    def pid(self) -> int | None:
        return self._watchdog.pid if self._watchdog else None

    def hold(self, group: int) -> None:
        """From now on this one. Work is only given to it once the lease is known to last."""
        with self._mutex:
            if self._deadline <= time.monotonic():
                # A standby's executor may wait, warm, for the next lease.
                self._deadline = math.inf
            if self._killed == group:
                # The number of one that is long gone.
                self._killed, self._killed_at = 0, math.inf
            self._group = group
            self._tell()

    def let_go(self, group: int) -> None:
        """To be called before the group is reaped: its number may soon be somebody else's."""
        with self._mutex:
            if self._group == group:
                self._group = 0
                self._tell()

    def set_deadline(self, at: float) -> None:
        """Until `at`, of time.monotonic(), the group may live."""
        with self._mutex:
            self._deadline = at
            if self._group:
                self._tell()

    def holds(self) -> bool:
        """False: the process is gone, and no other one could be started just now."""
        with self._mutex:
            if self._watchdog is not None and self._watchdog.poll() is not None:
                logger.warning("the leash was gone; another one starts")
                self._bury()
            if self._watchdog is None:
                self._tell()
            return self._watchdog is not None

    def has_killed(self, group: int) -> bool:
        """Certain once the end of a process of the group was seen."""
        with self._mutex:
            self._listen()
            return self._killed == group

    def killed_at(self, group: int) -> float:
        """By then, of time.monotonic(); inf where it did not, or has not said so yet."""
        return self._killed_at if self.has_killed(group) else math.inf

    def close(self) -> None:
        """Ends the process, and the group if it still holds one."""
        with self._mutex:
            self._closed = True
            if self._watchdog is None:
                return
            assert self._watchdog.stdin is not None
            self._watchdog.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._watchdog.wait(1.0)
            self._bury()

    def _tell(self) -> None:
        line = f"{self._group} {self._deadline!r}\n".encode()
        for _ in range(2):
            if self._closed:
                return
            try:
                self._watchdog = self._watchdog or _start(self._mark)
                assert self._watchdog.stdin is not None
                os.write(self._watchdog.stdin.fileno(), line)
                return
            except OSError as error:
                logger.warning("no leash, or a stuck one: %s", error)
                self._bury()

    def _listen(self) -> None:
        if self._watchdog is None:
            return
        assert self._watchdog.stdout is not None
        with suppress(BlockingIOError):
            for line in os.read(self._watchdog.stdout.fileno(), 4096).splitlines():
                group, *at = line.split()
                self._killed, self._killed_at = int(group), float(at[0]) if at else math.inf

    def _bury(self) -> None:
        if self._watchdog is None:
            return
        self._listen()
        watchdog, self._watchdog = self._watchdog, None
        with watchdog:
            watchdog.kill()


def _start(mark: str) -> "subprocess.Popen[bytes]":
    """In a session of its own, out of reach of what stops or freezes the worker."""
    watchdog = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        cwd="/",
        env={**os.environ, MARK: mark},
        start_new_session=True,
    )
    # A full pipe is that of a process which stands still: no reason to do so here.
    for pipe in (watchdog.stdin, watchdog.stdout):
        assert pipe is not None
        os.set_blocking(pipe.fileno(), False)
    return watchdog
