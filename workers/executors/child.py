"""The warm child process that runs jobs, as its parent sees it."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from workers.executors import frames
from workers.executors.base import Work
from workers.executors.frames import FrameReader, Kind
from workers.executors.leftovers import MARK

logger = logging.getLogger(__name__)

TICK_S: Final = 0.2
_SEND_TIMEOUT_S: Final = 30.0
_RESTART_PAUSE_S: Final = 1.0

Tick = Callable[[], bool]


@dataclass(frozen=True)
class Returned:
    text: bytes


@dataclass(frozen=True)
class Broke:
    """The job is at fault, or its process died; `reason` is for its owner."""

    reason: str


@dataclass(frozen=True)
class Stopped:
    """Killed because the tick asked for it."""


Ending = Returned | Broke | Stopped


@dataclass(frozen=True, kw_only=True)
class ChildOptions:
    executor: str
    mark: str
    max_result_bytes: int
    options: Mapping[str, Any] = field(default_factory=dict)
    max_rss_mb: float | None = None
    kill_grace_s: float = 0.5
    start_s: float = 120.0
    log_level: str = "INFO"


class ExecutorChild:
    """Runs one job at a time in a process of its own, and replaces that process when it ends.

    `start`, `ready` and `run` belong to one thread; `close` and `kill` may come from any.
    """

    def __init__(self, options: ChildOptions) -> None:
        self._options = options
        # Linux kills a child when the *thread* that made it ends, so one thread makes them
        # all and lives as long as the worker.
        self._nursery = ThreadPoolExecutor(1, thread_name_prefix="nursery")
        self._next: Future[_Process] | None = None
        self._process: _Process | None = None
        self._refusal: str | None = None
        self._refused_at = 0.0
        self._closing = threading.Event()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Begins to warm a process up; does not wait for it."""
        if self._next is None and self._process is None and not self._closing.is_set():
            self._next = self._nursery.submit(_Process, self._options)

    def ready(self, tick: Tick) -> bool:
        """Waits until a job can begin at once. False: the tick said stop, or we are closing.

        An executor that cannot be built counts as ready: `run` then tells each job why.
        """
        if self._process is not None and self._process.is_idle():
            return True
        if self._refusal is not None:
            if time.monotonic() - self._refused_at < _RESTART_PAUSE_S:
                return True
            self._refusal = None
        self._retire()
        self.start()
        return self._warm_up(tick)

    def run(self, work: Work, tick: Tick) -> Ending:
        """Call `ready` first. `tick` is asked every 200 ms; True kills the job."""
        process = self._process
        if process is None:
            return Broke(self._refusal or "the executor is stopping")
        try:
            process.hand_over(work)
            ending = self._wait(process, tick)
        except (EOFError, OSError):
            ending = Broke(f"the executor process died ({process.obituary()})")
        if process.is_over or process.fresh or process.retiring:
            self._retire()
            self.start()
        return ending

    def kill(self) -> None:
        """At once, and everything it started; the running job ends as broken."""
        if process := self._process:
            process.destroy(grace_s=0.0)

    def close(self) -> None:
        self._closing.set()
        if self._next is not None:
            try:
                self._process = self._next.result()
            except OSError:
                logger.debug("the next executor process had not started")
        self._retire()
        self._nursery.shutdown(wait=False)

    def _wait(self, process: "_Process", tick: Tick) -> Ending:
        while (frame := process.receive(TICK_S)) is None:
            if tick():
                process.destroy(grace_s=self._options.kill_grace_s)
                return Stopped()
        kind, body = frame
        return Returned(body) if kind is Kind.RETURNED else Broke(body.decode())

    def _warm_up(self, tick: Tick) -> bool:
        if self._next is None:
            return False
        try:
            process = self._next.result()
        except OSError as error:
            self._next = None
            self._refuse(str(error))
            return True
        self._process, self._next = process, None
        deadline = time.monotonic() + self._options.start_s
        while (heard := process.warmed(TICK_S)) is None:
            if tick() or self._closing.is_set():
                return False
            if time.monotonic() > deadline:
                heard = f"not ready within {self._options.start_s:g} s"
                break
        if heard:
            self._retire()
            self._refuse(heard)
        return True

    def _refuse(self, why: str) -> None:
        self._refusal = f"the executor {self._options.executor!r} could not start: {why}"
        self._refused_at = time.monotonic()
        logger.error("%s", self._refusal)

    def _retire(self) -> None:
        if self._process is not None:
            self._process.destroy(grace_s=0.0)
            self._process.close()
            self._process = None


class _Process:
    """One life of the child. Its group holds whatever the executor starts."""

    def __init__(self, options: ChildOptions) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._popen = subprocess.Popen(
                _command(options, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={**os.environ, MARK: options.mark},
            )
        self._sock = ours
        self._reader = FrameReader(ours)
        self._shared: tuple[str, Mapping[str, Any]] | None = None
        self._mutex = threading.Lock()
        self._buried = False
        self._up = False
        self.pid = self._popen.pid
        self.fresh = False
        self.retiring = False

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
            self._reader.receive(grace_s)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _knows(self, work: Work) -> bool:
        if self._shared is None or self._shared[0] != work.batch:
            return False
        return self._shared[1] is work.shared or self._shared[1] == work.shared


def _command(options: ChildOptions, fd: int) -> list[str]:
    # -P: the folder a worker happens to start in must not shadow anybody's imports.
    return [
        *(sys.executable, "-P", "-m", "workers.executors.host"),
        *("--executor", options.executor, "--options", json.dumps(dict(options.options))),
        *("--fd", str(fd), "--parent", str(os.getpid())),
        *("--max-result-bytes", str(options.max_result_bytes)),
        *("--max-rss-mb", str(options.max_rss_mb or 0.0), "--log-level", options.log_level),
    ]
