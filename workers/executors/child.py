"""The warm child process that runs jobs, as its parent sees it."""

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from workers.executors.base import Work
from workers.executors.frames import Kind, unstamped
from workers.executors.leash import Leash
from workers.executors.process import ChildOptions, Process

logger = logging.getLogger(__name__)

TICK_S: Final = 0.2
_RESTART_PAUSE_S: Final = 1.0

Tick = Callable[[], bool]


@dataclass(frozen=True)
class _Ended:
    ended: float = field(default=math.inf, kw_only=True, compare=False)
    """When the device was free of the job, of time.monotonic(), though this process may have stood
    still since; inf: nobody has seen it."""


@dataclass(frozen=True)
class Returned(_Ended):
    text: bytes


@dataclass(frozen=True)
class Broke(_Ended):
    """The job is at fault, or its process died; `reason` is for its owner."""

    reason: str


@dataclass(frozen=True)
class Stopped(_Ended):
    """Killed because the tick asked for it, or by its leash. Not the job's fault."""


Ending = Returned | Broke | Stopped


class ExecutorChild:
    """Runs one job at a time in a process of its own, and replaces that process when it ends.

    `start`, `ready` and `run` belong to one thread; `close` and `kill` may come from any.
    """

    def __init__(self, options: ChildOptions) -> None:
        self.leash = Leash(options.mark)
        self._options = options
        # Linux kills a child when the *thread* that made it ends, so one thread makes them
        # all and lives as long as the worker.
        self._nursery = ThreadPoolExecutor(1, thread_name_prefix="nursery")
        self._next: Future[Process] | None = None
        self._process: Process | None = None
        self._refusal: str | None = None
        self._refused_at = 0.0
        self._closing = threading.Event()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Begins to warm a process up; does not wait for it."""
        if self._next is None and self._process is None and not self._closing.is_set():
            self._next = self._nursery.submit(Process, self._options, self.leash)

    def ready(self, tick: Tick) -> bool:
        """Waits until a job can begin at once. False: the tick said stop, or we are closing.

        An executor that cannot be built counts as ready: `run` then tells each job why.
        """
        while not self.leash.holds():
            if tick() or self._closing.wait(TICK_S):
                return False
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
            ending = self._death_of(process)
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
        self.leash.close()

    def _wait(self, process: Process, tick: Tick) -> Ending:
        while (frame := process.receive(TICK_S)) is None:
            if tick():
                process.destroy(grace_s=self._options.kill_grace_s)
                return Stopped(ended=self._end_of(process))
        ended, body = unstamped(frame[1])
        if frame[0] is Kind.RETURNED:
            return Returned(body, ended=ended)
        return Broke(body.decode(), ended=ended)

    def _death_of(self, process: Process) -> Ending:
        how = process.obituary()
        ended = self._end_of(process)
        if not self.leash.has_killed(process.pid):
            return Broke(f"the executor process died ({how})", ended=ended)
        logger.warning("the leash has killed the executor: the lease was over")
        return Stopped(ended=ended)

    def _end_of(self, process: Process) -> float:
        """Now that it is seen to be over, unless somebody who did not stand still knows better."""
        return min(time.monotonic(), process.last_word_at, self.leash.killed_at(process.pid))

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
        if heard and self.leash.has_killed(process.pid):
            return self._again(tick)
        if heard:
            self._retire()
            self._refuse(heard)
        return True

    def _again(self, tick: Tick) -> bool:
        """A lease that was over while the executor warmed up is not its fault."""
        self._retire()
        self.start()
        return not tick() and self._warm_up(tick)

    def _refuse(self, why: str) -> None:
        self._refusal = f"the executor {self._options.executor!r} could not start: {why}"
        self._refused_at = time.monotonic()
        logger.error("%s", self._refusal)

    def _retire(self) -> None:
        if self._process is not None:
            self._process.destroy(grace_s=0.0)
            self._process.close()
            self._process = None
