"""Asks for work while a lane is free, and hands it to the lane that it is for."""

import logging
import threading
import uuid
from collections.abc import Sequence
from typing import Final

from schemas.controller import Acquired, AcquireIn
from workers.controller.config import Config
from workers.controller.lane import Lane
from workers.controller.link import Link, Refused, Taken, Unreachable, pauses
from workers.controller.shift import Shift

logger = logging.getLogger(__name__)

_OVER_THE_POLL_S: Final = 15.0
_LONGEST_POLL_S: Final = 50.0


class Dispatch:
    def __init__(self, config: Config, link: Link, shift: Shift) -> None:
        self._config = config
        self._link = link
        self._shift = shift
        self.freed = threading.Event()
        """To be set when a lane has ended its job."""

    def serve(self, lanes: Sequence[Lane], poll_s: float) -> None:
        """Until it is time to leave. Raises `Taken`."""
        failed, asked = pauses(0.5, 15.0), None
        while not self._shift.leaving.is_set():
            free = sum(lane.is_idle() for lane in lanes)
            if not free:
                self.freed.wait(1.0)
                self.freed.clear()
                continue
            # After a lost answer the same question: what it gave must not be left lying.
            asked = asked or self._question(free, poll_s)
            try:
                given = self._ask(asked)
            except Unreachable as error:
                logger.warning("no answer to acquire: %s", error)
                self._shift.leaving.wait(next(failed))
                continue
            asked, failed = None, pauses(0.5, 15.0)
            if not self._hand_out(given, lanes):
                self._shift.leaving.wait(next(pauses(1.0, 1.0)))

    def _ask(self, asked: AcquireIn) -> Acquired:
        path = "/controllers/self/acquire"
        try:
            said = self._link.post(path, asked, wait_s=asked.wait_s + _OVER_THE_POLL_S)
        except Taken:
            raise
        except Refused as refused:
            # Nothing here can mend it; what runs may end meanwhile.
            raise Unreachable(str(refused)) from refused
        return Acquired.model_validate(said)

    def _question(self, free: int, poll_s: float) -> AcquireIn:
        config = self._config
        return AcquireIn(
            request_id=str(uuid.uuid4()),
            free_cores=free * config.cores_each,
            free_memory_mb=config.memory_mb * free // config.width,
            wait_s=max(0.0, min(poll_s, _LONGEST_POLL_S)),
        )

    def _hand_out(self, given: Acquired, lanes: Sequence[Lane]) -> bool:
        """Whether any of it was new."""
        if self._shift.leaving.is_set():
            return True
        fit = [lease for lease in given.leases if 0 <= lease.lane < len(lanes)]
        return sum(lanes[lease.lane].offer(lease) for lease in fit) > 0
