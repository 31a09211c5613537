"""Runs a window: each job at most once, in order, every end an outcome. Never raises."""

import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Final, Protocol

from schemas import failpoint, logs, trace
from schemas.task import (
    Began,
    Canceled,
    Done,
    Failed,
    JobTask,
    Lost,
    Outcome,
    Result,
    Settle,
    Skipped,
    Window,
)
from workers.executors.base import Work
from workers.executors.child import Broke, Ending, Returned, Stopped, Tick
from workers.journal import AlreadyBegan, Journal, JournalError
from workers.journal import Ending as Ended
from workers.permits import PermitsUnreachable
from workers.results import ResultNotStored
from workers.watch import Watch

logger = logging.getLogger(__name__)

JOURNAL_PAUSE_S: Final = 1.0


class Permits(Protocol):
    def take(self, job: str, run: int) -> bool: ...
    def interrupted(self, job: str, run: int) -> bool: ...


class Child(Protocol):
    def ready(self, tick: Tick) -> bool: ...
    def run(self, work: Work, tick: Tick) -> Ending: ...


class Packer(Protocol):
    def new_window(self) -> None: ...
    def pack(self, job: str, run: int, text: bytes) -> Result: ...


class _NotWritten(Exception):
    """The journal refused. `gone`: the permit of the run had been taken by then."""

    def __init__(self, why: str, *, gone: bool) -> None:
        super().__init__(why)
        self.gone = gone


class Holding:
    """Which window this worker holds: what the heartbeat tells the other side."""

    def __init__(self) -> None:
        self._window: int | None = None
        self._since = time.monotonic()

    def hold(self, window: int) -> None:
        self._window = window

    def let_go(self) -> None:
        self._window, self._since = None, time.monotonic()

    def look(self) -> tuple[int | None, float]:
        """The window, and for how many seconds there has been none."""
        window, since = self._window, self._since
        return window, 0.0 if window is not None else time.monotonic() - since


@dataclass(kw_only=True)
class Shift:
    """What other threads tell the one that runs jobs."""

    session: Callable[[], str | None]
    leaving: threading.Event = field(default_factory=threading.Event)
    """Begin nothing more."""
    now: threading.Event = field(default_factory=threading.Event)
    """End what runs, too."""

    def is_ours(self, session: str) -> bool:
        return self.session() == session

    def is_over(self, session: str) -> bool:
        return self.leaving.is_set() or not self.is_ours(session)


@dataclass(kw_only=True)
class Execution:
    """Used by one thread. `tell` must not block; `wall_s` None: as long as it takes."""

    device: str
    shift: Shift
    permits: Permits
    journal: Journal
    child: Child
    packer: Packer
    tell: Callable[[Began], None]
    wall_s: float | None = None
    holding: Holding = field(default_factory=Holding)
    clock: Callable[[], float] = time.time
    pause: Callable[[float], None] = time.sleep
    served: int | None = None
    """The window before, if nothing of it was left to do."""
    refused: dict[tuple[str, int], int] = field(default_factory=dict)
    """Runs that lost their permit to a journal that refused them, with their window."""

    def execute(self, window: Window) -> Settle:
        self.holding.hold(window.window)
        stuck = window.after is not None and window.after != self.served
        self.journal.settled_below(window.settled_below)
        self.refused = {k: w for k, w in self.refused.items() if w >= window.settled_below}
        self.packer.new_window()
        outcomes: list[Outcome] = []
        for task in window.jobs:
            with _told(task):
                outcomes.append(self._end_of(window, task, stuck=stuck))
                trace.note(outcome=outcomes[-1].kind)
                logger.debug("job %s run %d: %s", task.job, task.run, outcomes[-1].kind)
            stuck = stuck or not _is_over(outcomes[-1])
        self.served = window.window if all(map(_is_over, outcomes)) else None
        failpoint.reach("worker.finished")
        return Settle(
            window=window.window,
            device=self.device,
            session=window.session,
            journal=self.journal.id,
            outcomes=outcomes,
        )

    def _end_of(self, window: Window, task: JobTask, *, stuck: bool) -> Outcome:
        """Whatever is not over lets nothing begin behind it."""
        try:
            return self._one(window, task, stuck=stuck)
        except PermitsUnreachable as error:
            logger.warning("window %d: nothing more begins: %s", window.window, error)
            return _skipped(task)
        except _NotWritten as refused:
            # Else a disk that has room again would let the next job overtake this one.
            self.refused[task.job, task.run] = window.window
            return self._not_begun(task, refused)

    def _one(self, window: Window, task: JobTask, *, stuck: bool) -> Outcome:
        try:
            # Before anything else: an end that the journal knows is a fact, whoever asks.
            if known := self.journal.find(task.job, task.run):
                return known
            if stuck or not self._may_begin(window):
                return _skipped(task)
            gone = not self.permits.take(task.job, task.run)
        except JournalError as error:
            raise _NotWritten(str(error), gone=False) from error
        if gone and (task.job, task.run) in self.refused:
            raise _NotWritten("it had no room when this run had its permit", gone=True)
        if gone:
            return _skipped(task, gone=True)
        failpoint.reach("worker.permitted")
        try:
            return self._run(window, task)
        except AlreadyBegan:
            return Lost(job=task.job, run=task.run)
        except JournalError as error:
            raise _NotWritten(str(error), gone=True) from error

    def _not_begun(self, task: JobTask, refused: "_NotWritten") -> Skipped:
        """Nothing is put on a device that could not say afterwards that it was there."""
        logger.error("job %s run %d not begun: journal: %s", task.job, task.run, refused)
        self.pause(JOURNAL_PAUSE_S)
        return _skipped(task, gone=refused.gone)

    def _may_begin(self, window: Window) -> bool:
        def over() -> bool:
            return self.shift.is_over(window.session)

        # Warmed up before the permit is taken, so that a cancel stays certain until then.
        return not over() and self.child.ready(over) and not over()

    def _run(self, window: Window, task: JobTask) -> Outcome:
        began_at = self.clock()
        self.journal.began(
            task.job,
            task.run,
            batch=window.batch,
            window=window.window,
            fence=window.fence,
            at=began_at,
        )
        try:
            outcome, free = self._on_device(window, task, began_at)
        except Exception:
            # Without an end of this one, the next run would have begun beside it.
            logger.exception("job %s run %d is lost: its worker broke", task.job, task.run)
            outcome, free = Lost(job=task.job, run=task.run, began_at=began_at), inf
        self.journal.finished(outcome, at=self.clock(), mono=free)
        return outcome

    def _on_device(self, window: Window, task: JobTask, began_at: float) -> tuple[Ended, float]:
        """How it ended, and when the device was free of it."""
        failpoint.reach("worker.began")
        watch = Watch(self, window, task, began_at)
        job, run, payload = task.job, task.run, task.payload
        work = Work(batch=window.batch, shared=window.shared, job=job, run=run, payload=payload)
        try:
            # The journal may have kept us waiting. A worker that is frozen after this look finds
            # its executor killed by the leash.
            ours = self.shift.is_ours(window.session)
            ending = self.child.run(work, watch.tick) if ours else Stopped(ended=0.0)
        except Exception as error:
            logger.exception("job %s run %d broke its worker", task.job, task.run)
            ending = Broke(f"{type(error).__name__}: {error}")
        failpoint.reach("worker.ended")
        return self._outcome(ending, watch), ending.ended

    def _outcome(self, ending: Ending, watch: Watch) -> Ended:
        task, began_at = watch.task, watch.began_at
        if isinstance(ending, Returned):
            try:
                result = self.packer.pack(task.job, task.run, ending.text)
            except (ResultNotStored, ValueError, RecursionError) as error:
                ending = Broke(f"the result could not be stored: {error}")
            else:
                return Done(
                    job=task.job,
                    run=task.run,
                    began_at=began_at,
                    ended_at=self.clock(),
                    result=result,
                )
        if isinstance(ending, Stopped):
            return watch.verdict(self.clock())
        # Shutting down kills the child from another thread, which looks like a crash.
        if self.shift.now.is_set():
            return Lost(job=task.job, run=task.run, began_at=began_at)
        return watch.failed(ending.reason, self.clock())


@contextmanager
def _told(task: JobTask) -> Generator[None]:
    """What is done inside is about this job, in the log and in the trace."""
    with (
        logs.about(job=task.job, run=task.run),
        trace.span("job", job=task.job, run=task.run, ordinal=task.ordinal),
    ):
        yield


def _is_over(outcome: Outcome) -> bool:
    """Nobody has to run it again before what comes after it. A permit that is gone may have been
    taken by a cancel, or lost by Redis: only the other side can tell."""
    return isinstance(outcome, Done | Failed | Canceled)


def _skipped(task: JobTask, *, gone: bool = False) -> Skipped:
    return Skipped(job=task.job, run=task.run, gone=gone)
