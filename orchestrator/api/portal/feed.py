"""What happens in a project, read once for all its open pages, and rendered once per topic.

The bell only says when to look. Postgres says what there is; it is looked at every second anyway.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol, TypeVar
from uuid import UUID

from orchestrator.api.portal.topics import Swap, Topic, frame, message
from orchestrator.broker.wakeups import Wakeups
from orchestrator.errors import Unavailable
from orchestrator.store.listings_events import list_news, now_cursor
from orchestrator.store.listings_reading import Reader
from schemas.event import Event

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
GATHER_S: Final = 0.05
"""The least time between two looks: the first event is told at once, a burst together."""
WITHHELD_S: Final = 0.1
AT_ONCE: Final = 500
REMEMBERED: Final = 2000
BEHIND_MOST: Final = 32

STALE: Final = message("stale")
FRESH: Final = message("fresh")
Answer = TypeVar("Answer")


class Ask(Protocol):
    """Reads in a thread."""

    async def __call__(self, read: Callable[[Reader], Answer], /) -> Answer: ...


class Page:
    """One open page: what it is still to be sent."""

    def __init__(self) -> None:
        self._bodies: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._ended = False

    def put(self, body: bytes) -> None:
        """A page that takes nothing ends; when it comes back it is told all."""
        if self._bodies.qsize() >= BEHIND_MOST:
            self.end()
        elif not self._ended:
            self._bodies.put_nowait(body)

    def end(self) -> None:
        """Nothing follows what was put before."""
        if not self._ended:
            self._ended = True
            self._bodies.put_nowait(None)

    async def next(self, timeout_s: float) -> bytes | None:
        """None at the end. Raises TimeoutError when there is nothing to send in time."""
        async with asyncio.timeout(timeout_s):
            return await self._bodies.get()


class Audience:
    """The pages of one topic."""

    def __init__(self, ask: Ask, project: UUID, topic: Topic) -> None:
        self.topic = topic
        self.pages: set[Page] = set()
        self._ask = ask
        self._project = project
        self._behind: set[Page] = set()
        self._events: list[Event] = []
        self._told: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._stale = False

    def join(self, page: Page) -> None:
        self.pages.add(page)
        self._behind.add(page)
        if self._stale:
            page.put(STALE)
        self._wake.set()

    def hear(self, events: Sequence[Event]) -> None:
        self._events += [event for event in events if self.topic.batch in (None, event.batch_id)]
        if len(self._events) > AT_ONCE:
            self.tell_all()
        elif self._events:
            self._wake.set()

    def tell_all(self) -> None:
        self._behind, self._events = set(self.pages), []
        self._wake.set()

    def fail(self) -> None:
        """What the pages show may be old; they are told all once it can be read."""
        self.tell_all()
        if not self._stale:
            self._stale = True
            self._put(self.pages, STALE)

    async def run(self, known: asyncio.Event) -> None:
        """Until cancelled. Only what is read once the feed's place is `known` misses nothing."""
        while True:
            await known.wait()
            if not self._stale:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.topic.every_s):
                        await self._wake.wait()
            try:
                await self._look()
            except Exception as error:
                log_unless_away(error, f"what is new for {self.topic.key} could not be told")
                self.fail()
            await asyncio.sleep(LOOK_EVERY_S if self._stale else GATHER_S)

    async def _look(self) -> None:
        self._wake.clear()
        behind, events = self._behind, self._events
        self._behind, self._events = set(), []
        if behind:
            everything = frame(await self._read(None))
            self._told.clear()
            self._put(behind & self.pages, (FRESH if self._stale else b"") + everything)
            self._stale = False
        others = self.pages - behind - self._behind
        if others and (events or self.topic.every_s is not None):
            self._put(others, frame(self._untold(await self._read(events))))

    async def _read(self, events: Sequence[Event] | None) -> Sequence[Swap]:
        news, project = self.topic.news, self._project
        swaps = await self._ask(lambda reader: news(reader, project, events))
        return list({swap.id: swap for swap in swaps}.values())

    def _untold(self, swaps: Sequence[Swap]) -> list[Swap]:
        if len(self._told) > REMEMBERED:
            self._told.clear()
        marks = {swap.id: hash((swap.how, swap.html)) for swap in swaps}
        fresh = [swap for swap in swaps if self._told.get(swap.id) != marks[swap.id]]
        self._told |= marks
        return fresh

    @staticmethod
    def _put(pages: set[Page], body: bytes) -> None:
        for page in pages if body else ():
            page.put(body)


class Feed:
    """One project's events, for as long as pages of it are open."""

    def __init__(self, ask: Ask, project: UUID) -> None:
        self.project = project
        self.audiences: dict[str, Audience] = {}
        self.known = asyncio.Event()
        self._ask = ask
        self._place = ""
        self._withheld: set[str] = set()

    async def run(self, wakeups: Wakeups) -> None:
        """Until cancelled."""
        with wakeups.bell(self.project, None) as bell:
            while True:
                try:
                    await self._look()
                except Exception as error:
                    log_unless_away(error, f"the events of {self.project} could not be read")
                    self._lose_place()
                await asyncio.sleep(GATHER_S)
                await bell.wait(WITHHELD_S if self._withheld else LOOK_EVERY_S)

    def _lose_place(self) -> None:
        self.known.clear()
        self._withheld.clear()
        for audience in self.audiences.values():
            audience.fail()

    async def _look(self) -> None:
        if not self.known.is_set():
            self._place = await self._ask(now_cursor)
            self.known.set()
            # Whatever was read before this place was known may lack what came in between.
            for audience in self.audiences.values():
                audience.tell_all()
            return
        while True:
            given = partial(list_news, project=self.project, after=self._place, limit=AT_ONCE)
            told, withheld = await self._ask(given)
            fresh = [*told, *(each for each in withheld if each.cursor not in self._withheld)]
            self._withheld = {each.cursor for each in withheld}
            if told:
                self._place = told[-1].cursor
            self._hand_over([Event.model_validate_json(each.item) for each in fresh])
            if len(told) < AT_ONCE:
                return

    def _hand_over(self, events: Sequence[Event]) -> None:
        for audience in self.audiences.values() if events else ():
            audience.hear(events)


def log_unless_away(error: Exception, what: str) -> None:
    """A database that is away is met every second, and was logged by whoever called it."""
    if not isinstance(error, Unavailable):
        logger.error(what, exc_info=error)
