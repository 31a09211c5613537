"""A controller, from its registration to its last process."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

from schemas.controller import Lease, Registered
from workers.controller.checkpoint import CheckpointFile
from workers.controller.config import Config
from workers.controller.delivery import Delivery
from workers.controller.dispatch import Dispatch
from workers.controller.joblog import JobLog
from workers.controller.lane import ExecutorGone, Lane
from workers.controller.link import Link, Refused, Taken, Unreachable, pauses
from workers.controller.pulse import Pulse, ship_files
from workers.controller.registration import register
from workers.controller.report import Report
from workers.controller.shift import Shift, Term
from workers.executors.base import CHECKPOINT
from workers.executors.child import ExecutorChild
from workers.executors.leftovers import kill_leftovers
from workers.executors.process import ChildOptions
from workers.journal import Journal

logger = logging.getLogger(__name__)

LEFT, BROKE, TAKEN = 0, 1, 4
_STEP_S: Final = 0.1
_WEDGED_S: Final = 180.0
"""No step of a lane takes so long: its thread stands still."""
_LOST_S: Final = 5.0
"""As much, where it only has to let go."""
_LAST_WORDS_S: Final = 10.0


class Controller:
    def __init__(self, config: Config, folder: Path, journal: Journal, child: ChildOptions) -> None:
        self._config = config
        self._journal = journal
        self._shift = Shift()
        self._link = Link(config.url, config.runner_key)
        self._places = [folder / f"lane-{number}" for number in range(config.width)]
        self._children = [ExecutorChild(_in_place(child, place)) for place in self._places]
        self._term = Term([child.leash.set_deadline for child in self._children])
        self._delivery = Delivery(journal, self._link, self._shift, config.cores_each)
        self._dispatch = Dispatch(config, self._link, self._shift)
        self._untold = journal.unacknowledged()
        self._pulse = Pulse(self._link, self._shift, self._term, self._untold)
        self._report = Report(folder, config)
        self._lanes: list[Lane] = []
        self._signals: list[int] = []
        self._leave_by: float | None = None
        self._worked_at = time.monotonic()
        self._registered = self._left = False
        self._status = LEFT

    def serve(self) -> int:
        """The exit status: 0 it left, 1 it broke, 4 another process has its name."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._signaled)
        kill_leftovers(self._journal.id)
        self._journal.opened()
        try:
            if self._warm() and (told := self._register()):
                self._work(told)
        except Refused as refused:
            self._end(BROKE, f"the server refuses this controller: {refused}")
        finally:
            self._close()
        return self._status

    def _signaled(self, number: int, frame: FrameType | None) -> None:
        # No event is set here: the code that this interrupts may hold the event's lock.
        self._signals.append(number)

    def _warm(self) -> bool:
        """Nothing is taken before it is known that something could run."""
        first = self._children[0]
        if first.ready(self._heed) and first.pid is None:
            self._end(BROKE, f"the executor {self._config.executor!r} does not start here")
        return not self._shift.leaving.is_set()

    def _register(self) -> Registered | None:
        for pause in pauses(1.0, 30.0):
            asked_at = time.monotonic()
            try:
                told = register(self._link, self._config, takeover=self._config.takeover)
                break
            except Unreachable as error:
                logger.warning("the server does not answer yet: %s", error)
            while time.monotonic() < asked_at + pause:
                if self._heed():
                    return None
                time.sleep(_STEP_S)
        self._registered = True
        self._link.key = told.token
        self._term.renewed(asked_at, told.lease_s)
        logger.info("registered as %s, session %d", self._config.name, told.session)
        return told

    def _work(self, told: Registered) -> None:
        self._lanes = [self._lane(n, told.log_chunk_bytes) for n in range(self._config.width)]
        self._thread("heartbeat", partial(self._pulse.serve, self._lanes, told.heartbeat_s))
        self._thread("home", self._send_home)
        while self._untold and not self._heed():
            time.sleep(_STEP_S)
        for lane in self._lanes:
            self._thread(f"lane-{lane.number}", lane.serve)
        self._thread("acquire", partial(self._dispatch.serve, self._lanes, told.poll_s))
        self._thread("files", partial(ship_files, self._shift, self._lanes))
        while not (self._heed() and self._is_through()):
            self._look_after_lanes()
            self._report.write(self._pulse.state, self._term.left(), self._lanes)
            time.sleep(_STEP_S)

    def _is_through(self) -> bool:
        return self._shift.is_silent() or all(lane.held is None for lane in self._lanes)

    def _heed(self) -> bool:
        """Acts on what was asked of it meanwhile; True: it is time to leave."""
        shift, now = self._shift, time.monotonic()
        while self._signals:
            if self._signals.pop(0) != signal.SIGUSR1:
                # The second one means at once.
                self._leave_by = now + (self._config.stop_s if self._leave_by is None else 0.0)
            self._leave("asked to")
        if not all(lane.is_idle() for lane in self._lanes):
            self._worked_at = now
        elif self._pulse.state == "draining":
            self._leave("drained, and not resumed meanwhile")
        elif 0 < self._config.idle_exit_s < now - self._worked_at:
            self._leave("nothing to do for long")
        if self._leave_by is not None and now >= self._leave_by and not shift.now.is_set():
            shift.silent_from = min(shift.silent_from, now + _LAST_WORDS_S)
            shift.now.set()
        return shift.leaving.is_set()

    def _leave(self, why: str) -> None:
        if not self._shift.leaving.is_set():
            logger.info("leaving: %s; nothing more begins", why)
            self._shift.leaving.set()

    def _look_after_lanes(self) -> None:
        """One that stands still would hold its job for ever, as heartbeats go on."""
        for lane in self._lanes:
            if (held := lane.held) is None:
                continue
            most_s = _LOST_S if held.verdict == "lost" and not held.ended else _WEDGED_S
            if time.monotonic() - lane.alive_at > most_s + self._config.kill_grace_s:
                self._end(BROKE, f"lane {lane.number} has stood still for {most_s:g} s")

    def _end(self, status: int, why: str) -> None:
        """At once: what runs is killed, the journal keeps what is not told."""
        logger.error("%s", why)
        self._status = self._status or status
        self._shift.silent_from = 0.0
        self._shift.leaving.set()
        self._shift.now.set()

    def _thread(self, name: str, serve: Callable[[], None]) -> None:
        """One that dies takes the process with it: nobody is to hear that its work goes on."""

        def guarded() -> None:
            try:
                serve()
            except Taken as taken:
                if not self._left:
                    self._shift.taken.set()
                    self._end(TAKEN, f"another process has the name: {taken}")
            except ExecutorGone:
                self._end(BROKE, f"the executor {self._config.executor!r} does not start any more")
            except BaseException:
                logger.exception("the thread %s died", name)
                self._end(BROKE, f"nothing goes on without the thread {name}")

        threading.Thread(target=guarded, name=name, daemon=True).start()

    def _send_home(self) -> None:
        """What former processes of this name could not tell."""
        while self._untold:
            self._delivery.deliver(self._untold[0], number=None)
            if self._shift.is_silent():
                return
            del self._untold[0]

    def _lane(self, number: int, chunk_bytes: int) -> Lane:
        place = self._places[number]

        def files_of(lease: Lease) -> tuple[JobLog, CheckpointFile]:
            path = f"/assignments/{lease.assignment_id}/logs"
            log = JobLog(place.with_suffix(".log"), self._link, path, lease.epoch, chunk_bytes)
            return log, CheckpointFile(place.with_suffix(".checkpoint"), self._link, lease)

        return Lane(
            number=number,
            link=self._link,
            journal=self._journal,
            child=self._children[number],
            delivery=self._delivery,
            term=self._term,
            shift=self._shift,
            files_of=files_of,
            freed=self._dispatch.freed.set,
        )

    def _close(self) -> None:
        """Leaves no process behind; whether the server hears of it is not certain."""
        for child in self._children:
            child.kill()
            child.close()
        # From here on a dead token is our own doing.
        self._left = True
        self._shift.silent_from = 0.0
        if self._registered and not self._shift.taken.is_set():
            try:
                self._link.post("/controllers/self/deregister", wait_s=5.0)
            except (Unreachable, Refused) as error:
                logger.warning("left without a word: %s", error)
        self._report.left(self._status)


def _in_place(child: ChildOptions, place: Path) -> ChildOptions:
    env = {**child.env, CHECKPOINT: str(place.with_suffix(".checkpoint"))}
    return replace(child, output=place.with_suffix(".log"), env=env)
