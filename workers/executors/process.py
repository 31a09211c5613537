"""One life of the executor's process: how it starts, what it is told, how it ends."""

import json
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from schemas import logs
from workers.executors import frames
from workers.executors.base import Work
from workers.executors.frames import FrameReader, Kind
from workers.executors.leash import Leash
from workers.executors.leftovers import MARK

logger = logging.getLogger(__name__)

_SEND_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class ChildOptions:
    executor: str
    mark: str
    max_result_bytes: int
    options: Mapping[str, Any] = field(default_factory=dict)
    output: Path | None = None
    """What it prints goes to the end of this file; None: to our own standard error."""
    env: Mapping[str, str] = field(default_factory=dict)
    max_rss_mb: float | None = None
    kill_grace_s: float = 0.5
    start_s: float = 120.0
    log_level: str = "INFO"
    log_format: str = "text"


class Process:
    """Its group, which is on the leash, holds whatever the executor starts."""

    def __init__(self, options: ChildOptions, leash: Leash) -> None:
        ours, theirs = socket.socketpair()
        with theirs, _output(options.output) as output:
            self._popen = subprocess.Popen(
                _command(options, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stderr=output,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={**os.environ, **options.env, MARK: options.mark},
            )
        self._sock = ours
        self._reader = FrameReader(ours)
        self._shared: tuple[str, Mapping[str, Any]] | None = None
        self._mutex = threading.Lock()
        self._buried = False
        self._up = False
        self.pid = self._popen.pid
        self._leash = leash
        leash.hold(self.pid)
        self.fresh = False
        self.retiring = False
        self.last_word_at = math.inf
        """When the job was over after all that `destroy` ended; inf: it had not said so."""

    @property
    def is_over(self) -> bool:
        return self._popen.returncode is not None

    def is_idle(self) -> bool:
        return self._up and not self._buried and self._reader.is_silent()

    def warmed(self, timeout_s: float) -> str | None:
        """Empty text once the executor stands; why not, if it never will; None: not yet."""
        try:
            frame = self._reader.receive(timeout_s)
        except EOFError:
            return f"its process died ({self.obituary()})"
        if frame is None:
            return None
        if frame[0] is not Kind.UP:
            return frame[1].decode()
        self.fresh = bool(json.loads(frame[1])["fresh_process"])
        self._up = True
        return ""

    def hand_over(self, work: Work) -> None:
        task: dict[str, Any] = {
            "batch": work.batch,
            "job": work.job,
            "run": work.run,
            "payload": work.payload,
            "about": logs.known(),
        }
        if not self._knows(work):
            task["shared"] = work.shared
            self._shared = (work.batch, work.shared)
        self._sock.settimeout(_SEND_TIMEOUT_S)
        frames.send(self._sock, Kind.WORK, json.dumps(task, separators=(",", ":")).encode())

    def receive(self, timeout_s: float) -> frames.Frame | None:
        frame = self._reader.receive(timeout_s)
        if frame is not None and frame[0] is Kind.RETIRING:
            self.retiring = True
            return self._reader.receive(timeout_s)
        return frame

    def destroy(self, *, grace_s: float) -> None:
        """Ends the whole group: asks, waits for `grace_s`, then kills and reaps."""
        with self._mutex:
            if self._buried:
                return
            if grace_s > 0:
                self._signal(signal.SIGTERM)
                self._wait_for_a_last_word(grace_s)
            self._signal(signal.SIGKILL)
            self._leash.let_go(self.pid)
            try:
                self._popen.wait(5.0)
            except subprocess.TimeoutExpired:
                logger.error("executor process %d does not die", self.pid)
            self._buried = True
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Only for the thread that reads; `destroy` may come from another one."""
        self._sock.close()

    def obituary(self) -> str:
        """How it died, in words: `signal 11, SIGSEGV`."""
        try:
            # A closed pipe comes a moment before the end of the process.
            code = self._popen.wait(2.0)
        except subprocess.TimeoutExpired:
            self.destroy(grace_s=0.0)
            return "it closed its pipe"
        if code >= 0:
            return f"exit code {code}"
        return f"signal {-code}, {signal.Signals(-code).name}"

    def _wait_for_a_last_word(self, grace_s: float) -> None:
        with suppress(EOFError, OSError):
            if (word := self.receive(grace_s)) and word[0] in (Kind.RETURNED, Kind.RAISED):
                self.last_word_at, _ = frames.unstamped(word[1])

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _knows(self, work: Work) -> bool:
        if self._shared is None or self._shared[0] != work.batch:
            return False
        return self._shared[1] is work.shared or self._shared[1] == work.shared


def _output(path: Path | None) -> AbstractContextManager[BinaryIO | None]:
    return nullcontext() if path is None else path.open("ab")


def _command(options: ChildOptions, fd: int) -> list[str]:
    # -P: the folder a worker happens to start in must not shadow anybody's imports.
    return [
        *(sys.executable, "-P", "-m", "workers.executors.host"),
        *("--executor", options.executor, "--options", json.dumps(dict(options.options))),
        *("--fd", str(fd), "--parent", str(os.getpid())),
        *("--max-result-bytes", str(options.max_result_bytes)),
        *("--max-rss-mb", str(options.max_rss_mb or 0.0), "--log-level", options.log_level),
        *("--log-format", options.log_format),
    ]
