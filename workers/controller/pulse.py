"""Heartbeats: what is in hand, told in time; what the server wants of it, passed on."""

import logging
import time
from collections.abc import Sequence
from typing import Final

from schemas.controller import MAX_LANES, Heartbeat, HeartbeatIn, RunningItem, State
from workers.controller.lane import Held, Lane
from workers.controller.link import Link, Refused, Taken, Unreachable, pauses
from workers.controller.shift import Shift, Term
from workers.journal import Ending

logger = logging.getLogger(__name__)

_STEP_S: Final = 0.2
_SHIP_S: Final = 2.0


class Pulse:
    """`untold`: ends of former processes, which are spoken for until they are told."""

    def __init__(self, link: Link, shift: Shift, term: Term, untold: list[Ending]) -> None:
        self._link = link
        self._shift = shift
        self._term = term
        self._untold = untold
        self.state: State = "online"
        """The server's word."""

    def serve(self, lanes: Sequence[Lane], every_s: float) -> None:
        """Until nothing more is to be said. Raises `Taken`."""
        failed = pauses(0.5, 5.0)
        while not self._shift.is_silent():
            asked_at = time.monotonic()
            held = [each for lane in lanes if (each := lane.held) and each.started]
            try:
                answer = self._beat(held)
            except Unreachable as error:
                logger.warning("no answer to a heartbeat: %s", error)
                self._rest(min(next(failed), every_s))
                continue
            self._term.renewed(asked_at, answer.lease_s)
            failed, every_s = pauses(0.5, 5.0), answer.heartbeat_s
            self.state = answer.state
            _pass_on(answer, held)
            self._rest(every_s)

    def _beat(self, held: Sequence[Held]) -> Heartbeat:
        items = [
            RunningItem(
                assignment_id=each.lease.assignment_id,
                epoch=each.lease.epoch,
                progress=each.log.progress,
            )
            for each in held
        ]
        items += [RunningItem(assignment_id=end.job, epoch=end.run) for end in self._untold]
        try:
            body = HeartbeatIn(running=items[:MAX_LANES])
            return Heartbeat.model_validate(self._link.post("/controllers/self/heartbeat", body))
        except Taken:
            raise
        except Refused as refused:
            # The lease runs out, and with it what runs here.
            raise Unreachable(str(refused)) from refused

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._shift.is_silent():
            time.sleep(min(left, _STEP_S))


def _pass_on(answer: Heartbeat, held: Sequence[Held]) -> None:
    verdicts = {told.assignment_id: told.verdict for told in answer.verdicts}
    for each in held:
        verdict = verdicts.get(each.lease.assignment_id, "ok")
        if verdict == "cancel" or verdict == "lost":
            logger.info("%s: the server says %s", each.lease.assignment_id, verdict)
            each.verdict = verdict


def ship_files(shift: Shift, lanes: Sequence[Lane]) -> None:
    """What jobs print and keep, while they run."""
    while not shift.is_silent():
        time.sleep(_SHIP_S)
        for lane in lanes:
            if (held := lane.held) and held.started:
                held.ship()
