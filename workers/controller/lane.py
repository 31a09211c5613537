"""A lane: one job at a time, begun at most once, every end written down before it is told."""

import hashlib
import json
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic_core import to_json

from schemas import failpoint, logs
from schemas.controller import Lease, StartIn
from schemas.task import Canceled, Done, Failed, Lost, Result
from workers.controller.checkpoint import CheckpointFile
from workers.controller.delivery import LOST, Delivery
from workers.controller.joblog import JobLog
from workers.controller.link import Link, Refused, Taken, Unreachable, pauses
from workers.controller.shift import Shift, Term
from workers.executors.base import Work
from workers.executors.child import Broke, Ending, ExecutorChild, Returned, Stopped
from workers.journal import Ending as End
from workers.journal import Journal, JournalError

logger = logging.getLogger(__name__)

_IDLE_TICK_S: Final = 0.2
_PAUSE_S: Final = 1.0


class ExecutorGone(Exception):
    """It cannot be started any more: nothing can run here."""


@dataclass
class Held:
    """What the lane has in hand; other threads read it, and set `verdict`."""

    lease: Lease
    log: JobLog
    checkpoint: CheckpointFile
    started: bool = False
    """The server knows that it is ours: heartbeats speak for it."""
    since: float = field(default_factory=time.monotonic)
    verdict: Literal["ok", "cancel", "lost"] = "ok"
    ended: bool = False
    """Its end is in the journal, and only has to be told."""

    def ship(self) -> None:
        """What its executor has said and kept since the last time."""
        self.log.ship()
        self.checkpoint.ship()


@dataclass(kw_only=True)
class Lane:
    number: int
    link: Link
    journal: Journal
    child: ExecutorChild
    delivery: Delivery
    term: Term
    shift: Shift
    files_of: Callable[[Lease], tuple[JobLog, CheckpointFile]]
    freed: Callable[[], None]
    held: Held | None = None
    alive_at: float = field(default_factory=time.monotonic)
    """When its thread last gave a sign, of time.monotonic()."""

    def __post_init__(self) -> None:
        self._inbox: queue.SimpleQueue[Lease] = queue.SimpleQueue()
        self._known: set[tuple[str, int]] = set()
        self._mutex = threading.Lock()

    def is_idle(self) -> bool:
        with self._mutex:
            return not self._known

    def offer(self, lease: Lease) -> bool:
        """False: it has it already."""
        with self._mutex:
            if (key := (lease.assignment_id, lease.epoch)) in self._known:
                return False
            self._known.add(key)
        self._inbox.put(lease)
        return True

    def serve(self) -> None:
        """Until it is told to leave. Raises `Taken`, `ExecutorGone`, or whatever nobody expected:
        the process must not live on without this thread."""
        while not self.shift.leaving.is_set():
            self._sign()
            try:
                lease = self._inbox.get(timeout=_IDLE_TICK_S)
            except queue.Empty:
                continue
            self.held = Held(lease, *self.files_of(lease))
            try:
                with logs.about(job=lease.job_id, run=lease.epoch):
                    self._one(self.held)
            except JournalError as error:
                # Nothing runs on a machine that could not say afterwards that it did.
                logger.error("%s not begun: journal: %s", lease.assignment_id, error)
                self.shift.pause(_PAUSE_S)
            finally:
                self.held = None
                with self._mutex:
                    self._known.discard((lease.assignment_id, lease.epoch))
                self.freed()

    def _one(self, held: Held) -> None:
        lease = held.lease
        if known := self.journal.find(lease.assignment_id, lease.epoch):
            held.ended = True
            self.delivery.deliver(known, number=None, trying=self._sign)
            self.shift.pause(_PAUSE_S)
            return
        ready = self.child.ready(lambda: self._must_go(held)) and not self._must_go(held)
        if ready and self.child.pid is None:
            raise ExecutorGone
        if not ready or (ours := self._start(held)) is False:
            # It may be offered again at once.
            self.shift.pause(_PAUSE_S)
            return
        self._run(held, sure=bool(ours))

    def _sign(self) -> None:
        self.alive_at = time.monotonic()

    def _must_go(self, held: Held) -> bool:
        self._sign()
        return self.shift.leaving.is_set() or held.verdict == "lost" or self.term.is_over()

    def _start(self, held: Held) -> bool | None:
        """True: it is ours to run. None: nobody can tell whether it is."""
        lease = held.lease
        for pause in pauses(0.2, 5.0):
            try:
                self.link.post(
                    f"/assignments/{lease.assignment_id}/start", StartIn(epoch=lease.epoch)
                )
                held.started = True
                return True
            except Taken:
                raise
            except Refused as refused:
                logger.info("%s not begun: %s", lease.assignment_id, refused)
                return False
            except Unreachable as error:
                logger.warning("%s: no answer to its start: %s", lease.assignment_id, error)
            if self._must_go(held):
                return None
            self.shift.pause(pause)
        raise AssertionError("pauses never end")

    def _run(self, held: Held, *, sure: bool) -> None:
        lease, number = held.lease, self.delivery.number()
        watch = _Watch(self, held)
        try:
            self.journal.began(
                lease.assignment_id,
                lease.epoch,
                batch=lease.job_id,
                window=number,
                fence=lease.epoch,
                at=watch.began_at,
            )
        except JournalError as error:
            watch.why_lost = f"the controller's journal refused: {error}"
            end: End = watch.lost()
        else:
            failpoint.reach("worker.began")
            end, mono = self._compute(watch) if sure else (watch.lost(), time.monotonic())
            failpoint.reach("worker.ended")
            self.journal.finished(end, at=time.time(), mono=mono)
        held.ended = True
        self._sign()
        held.ship()
        if held.verdict == "lost":
            return self.delivery.forget(number)
        return self.delivery.deliver(
            end,
            number=number,
            why_lost=watch.why_lost,
            log_seq=held.log.seq,
            trying=self._sign,
        )

    def _compute(self, watch: "_Watch") -> tuple[End, float]:
        lease = watch.held.lease
        work = Work(
            batch=lease.job_id,
            shared=lease.shared,
            job=lease.job_id,
            run=lease.epoch,
            payload=lease.payload,
        )
        try:
            ending = Stopped(ended=0.0) if watch.tick() else self.child.run(work, watch.tick)
        except Exception as error:
            logger.exception("%s broke its lane", lease.assignment_id)
            ending = Broke(f"{type(error).__name__}: {error}")
        return watch.end_of(ending), ending.ended


class _Watch:
    """Looks at a running job every 200 ms, and remembers why it had to stop."""

    def __init__(self, lane: Lane, held: Held) -> None:
        self.held = held
        self.began_at = time.time()
        self.why_lost = LOST
        self._lane = lane
        self._started = time.monotonic()
        self._why: Callable[[], End] | None = None
        self._of: dict[str, Any] = {
            "job": held.lease.assignment_id,
            "run": held.lease.epoch,
            "began_at": self.began_at,
        }

    def tick(self) -> bool:
        self._lane.alive_at = time.monotonic()
        shift, lease = self._lane.shift, self.held.lease
        if self.held.verdict == "lost" or self._lane.term.is_over() or shift.now.is_set():
            self._why = self.lost
            if shift.now.is_set():
                self.why_lost = "the controller was stopped while the job ran"
            # Somebody else may have it by now: it gets no time to finish.
            self._lane.child.kill()
        elif time.monotonic() - self._started >= lease.wall_s:
            self._why = self._overran
        elif self.held.verdict == "cancel":
            self._why = self._canceled
        return self._why is not None

    def end_of(self, ending: Ending) -> End:
        if isinstance(ending, Returned):
            return self._done(ending.text)
        if isinstance(ending, Stopped) or self._lane.shift.now.is_set():
            return (self._why or self.lost)()
        return self._failed(ending.reason)

    def lost(self) -> Lost:
        return Lost(**self._of)

    def _done(self, text: bytes) -> Done | Failed:
        try:
            value = json.loads(text)
            # The messages that carry it lie around it, as the lists here do.
            to_json([[[[value]]]])
        except (ValueError, RecursionError) as error:
            return self._failed(f"the result could not be sent: {error}")
        result = Result(value=value, size=len(text), sha256=hashlib.sha256(text).hexdigest())
        return Done(**self._of, ended_at=time.time(), result=result)

    def _failed(self, reason: str) -> Failed:
        return Failed(**self._of, ended_at=time.time(), reason=reason)

    def _overran(self) -> Failed:
        return self._failed(f"exceeded its wall limit of {self.held.lease.wall_s:g} s")

    def _canceled(self) -> Canceled:
        return Canceled(**self._of, ended_at=time.time())
