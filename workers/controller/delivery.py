"""Ends on their way home: told again and again until the server has them, or wants none of them.

The journal keeps each until then, so that it outlives this process.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from schemas.controller import CompleteIn, ErrorIn, Usage
from schemas.task import Canceled, Done, Failed
from workers.controller.link import Link, Refused, Taken, Unreachable, pauses
from workers.controller.shift import Shift
from workers.journal import Ending, Journal, JournalError

logger = logging.getLogger(__name__)

COMPLETE_S: Final = 60.0
LOST: Final = "the controller lost it: its process ended, or was cut off, while the job ran"
_WITNESSED_AT_MOST: Final = 1000
_NOT_THIS_BODY: Final = frozenset({400, 413, 422})


class Delivery:
    """Safe to use from several threads. A run's key in the journal: (assignment id, epoch)."""

    def __init__(self, journal: Journal, link: Link, shift: Shift, cores: int) -> None:
        self._journal = journal
        self._link = link
        self._shift = shift
        self._cores = cores
        self._mutex = threading.Lock()
        # Above those of every process before, unless the clock was set back: then what they left
        # is told twice, which does no harm.
        self._next = time.time_ns()
        self._open: set[int] = set()

    def number(self) -> int:
        """For a run that is about to begin: its window, in the journal's words."""
        with self._mutex:
            self._next += 1
            self._open.add(self._next)
            return self._next

    def deliver(
        self,
        end: Ending,
        *,
        number: int | None,
        why_lost: str = LOST,
        log_seq: int | None = None,
        trying: Callable[[], None] = lambda: None,
    ) -> None:
        """Returns once the server has answered; or not at all in time, and the journal keeps it.
        `trying` is called before each attempt.

        Raises `Taken`.
        """
        body = _body(end, self._cores, why_lost, log_seq)
        for pause in pauses(0.5, 10.0):
            if self._shift.is_silent():
                return
            trying()
            try:
                self._tell(end, body)
                break
            except Unreachable as error:
                logger.warning("%s: its end is not told yet: %s", end.job, error)
                self._shift.pause(pause)
        self.forget(number)

    def forget(self, number: int | None) -> None:
        """The server has the end of it, or wants none."""
        if number is None:
            return
        with self._mutex:
            self._open.discard(number)
            home = min(self._open, default=self._next + 1)
        self._journal.settled_below(home)
        if number % 100 == 0:
            self._trim()

    def _tell(self, end: Ending, body: CompleteIn) -> None:
        path = f"/assignments/{end.job}/complete"
        try:
            self._link.post(path, body, wait_s=COMPLETE_S)
        except Taken:
            raise
        except Refused as refused:
            if refused.status not in _NOT_THIS_BODY or body.outcome != "done":
                logger.warning("%s: the server does not want its end: %s", end.job, refused)
                return
            # The same result would be refused for ever; its owner is told why instead.
            why = _error("user", f"the server refused the result: {refused}")
            self._tell(end, body.model_copy(update={"outcome": "failed", "result": None} | why))

    def _trim(self) -> None:
        """Nobody collects the witness log of a machine that is not the operator's."""
        try:
            first = self._journal.segment()
            if len(self._journal.witnessed(first, _WITNESSED_AT_MOST)) == _WITNESSED_AT_MOST:
                self._journal.forget_witnessed(first + _WITNESSED_AT_MOST // 2)
        except JournalError as error:
            logger.warning("the witness log grows: %s", error)


def _body(end: Ending, cores: int, why_lost: str, log_seq: int | None) -> CompleteIn:
    usage = Usage()
    if isinstance(end, Done | Failed | Canceled):
        wall_s = max(0.0, end.ended_at - end.began_at)
        usage = Usage(wall_s=wall_s, core_seconds=wall_s * cores)
    said: dict[str, Any] = {"epoch": end.run, "usage": usage, "log_seq": log_seq}
    if isinstance(end, Done):
        said |= {"outcome": "done", "result": end.result.value}
    elif isinstance(end, Canceled):
        said |= {"outcome": "cancelled"}
    elif isinstance(end, Failed):
        said |= {"outcome": "failed"} | _error("user", end.reason)
    else:
        said |= {"outcome": "failed"} | _error("infrastructure", why_lost)
    return CompleteIn(**said)


def _error(kind: str, message: str) -> dict[str, ErrorIn]:
    return {"error": ErrorIn.model_validate({"class": kind, "message": message[:10_000]})}
