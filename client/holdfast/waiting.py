"""Waiting without asking all the time: follow the batch's events, and poll where that fails."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from holdfast.deadline import Backoff, Deadline
from holdfast.errors import ApiError, ConnectionFailed, Unavailable
from holdfast.patience import Patience
from holdfast.records import Event
from holdfast.session import Session
from holdfast.stream import SILENCE_S, Stream, open_stream

STREAM_AGAIN_S: Final = 5.0
"""How long to poll before trying again a stream that the server refused."""

FIRST_SILENCE_S: Final = 2.0
"""A proxy may hold back a stream. So a silent one is dropped for a question, first after this
long, then after twice as long each time: such a proxy at most doubles a wait."""


@dataclass(kw_only=True)
class Wait:
    """One wait on something in a batch.

    `over` asks the server and is the only judge. `touches` says which events are a reason to
    ask again. `pace_s` is the least time between two questions, for progress on busy batches.
    An outage of less than a minute is forgiven.
    """

    session: Session
    batch_id: str
    what: str
    over: Callable[[], bool]
    touches: Callable[[Event], bool]
    deadline: Deadline
    pace_s: float = 0.0
    _patience: Patience = field(default_factory=Patience)
    _poll: Backoff = field(default_factory=lambda: Backoff(0.05, 1.0))
    _stream: Stream | None = None
    _stream_after: float = 0.0
    _silence_s: float = FIRST_SILENCE_S

    def run(self) -> None:
        """Return when it is over; WaitTimeout at the deadline."""
        try:
            while not self._asked():
                self.deadline.check(self.what)
                if not self._woken():
                    time.sleep(self.deadline.cap(self._poll.pause()))
        finally:
            self._hang_up()

    def _asked(self) -> bool:
        try:
            over = self.over()
        except (ConnectionFailed, Unavailable) as error:
            self.deadline.check(self.what)
            self._patience.spend(error)
            return False
        self._patience.reset()
        return over

    def _woken(self) -> bool:
        """True when there is a reason to ask again; False: there is no stream, so poll."""
        if self._stream is None:
            known = self.session.cursors.of(self.batch_id) is not None
            if not self._opened():
                return False
            if not known:
                # Without a cursor, what changed before the stream was open may not be told.
                return True
        return self._read()

    def _read(self) -> bool:
        for events in self._stream or ():
            self.session.cursors.move(self.batch_id, events)
            if any(map(self.touches, events)) or self.deadline.passed():
                self._poll.reset()
                time.sleep(self.deadline.cap(self.pace_s))
                return True
        self._hang_up()
        self._silence_s = min(SILENCE_S, 2 * self._silence_s)
        return False

    def _opened(self) -> bool:
        if time.monotonic() < self._stream_after:
            return False
        try:
            self._stream = open_stream(
                self.session.transport,
                self.batch_id,
                self.session.cursors.of(self.batch_id),
                self.deadline,
                self._silence_s,
            )
        except (ConnectionFailed, Unavailable):
            return False
        except ApiError:
            self._stream_after = time.monotonic() + STREAM_AGAIN_S
            return False
        return True

    def _hang_up(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
