"""Pages that change by themselves: server-sent events of HTML. `topics.py` says how to use it."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import anyio
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from orchestrator.api.portal.feed import Answer, Audience, Feed, Page, log_unless_away
from orchestrator.api.portal.topics import Topic, message
from orchestrator.api.portal.visitor import Visitor, Visits
from orchestrator.api.streaming import KEEP_ALIVE, WELCOME, EventStream, Hall, Write
from orchestrator.broker.wakeups import Wakeups
from orchestrator.services.core import Core
from orchestrator.store import sessions
from orchestrator.store.listings_reading import Reader, reading

PAGES_MOST: Final = 256
READERS: Final = 2
KEEP_ALIVE_S: Final = 15.0
CHECK_EVERY_S: Final = 1.0
OVER: Final = message("over")
Factory = TypeVar("Factory", bound=Callable[..., Topic])


def live(router: APIRouter, path: str) -> Callable[[Factory], Factory]:
    """The decorated dependency says what the pages that connect to `path` show."""

    def add(factory: Factory) -> Factory:
        async def connect(
            request: Request, visitor: Visits, topic: Annotated[Topic, Depends(factory)]
        ) -> Response:
            hub: Live = request.app.state.live
            return hub.answer(visitor, path, topic)

        router.add_api_route(path, connect, methods=["GET"], include_in_schema=False)
        return factory

    return add


class Live:
    """All open pages of this process."""

    def __init__(self, core: Core, wakeups: Wakeups, closing: asyncio.Event) -> None:
        self.hall = Hall("live pages", PAGES_MOST, closing)
        self._core = core
        self._wakeups = wakeups
        self._readers = anyio.CapacityLimiter(READERS)
        self._feeds: dict[object, Feed] = {}
        self._visitors: dict[Page, Visitor] = {}
        self._tasks: dict[object, asyncio.Task[None]] = {}

    def answer(self, visitor: Visitor, path: str, topic: Topic) -> Response:
        return EventStream(self.hall, visitor.project, partial(self._tell, visitor, path, topic))

    async def _tell(self, visitor: Visitor, path: str, topic: Topic, write: Write) -> None:
        await write(WELCOME)
        with self._page(visitor, path, topic) as page:
            while True:
                try:
                    body = await page.next(KEEP_ALIVE_S)
                except TimeoutError:
                    body = KEEP_ALIVE
                if body is None:
                    return
                await write(body)

    @contextmanager
    def _page(self, visitor: Visitor, path: str, topic: Topic) -> Generator[Page]:
        """The first page of a project starts its feed, the first of a topic its audience; with
        the last one they end."""
        page, project = Page(), visitor.project
        feed = self._feeds.get(project)
        if feed is None:
            feed = self._feeds[project] = Feed(self.ask, project)
            self._start(feed, feed.run(self._wakeups))
        place = f"{path} {topic.key}"
        audience = feed.audiences.get(place)
        if audience is None:
            audience = feed.audiences[place] = Audience(self.ask, project, topic)
            self._start(audience, audience.run(feed.known))
        audience.join(page)
        self._visitors[page] = visitor
        try:
            yield page
        finally:
            del self._visitors[page]
            audience.pages.discard(page)
            if not audience.pages:
                del feed.audiences[place]
                self._stop(audience)
            if not feed.audiences:
                del self._feeds[project]
                self._stop(feed)

    def _start(self, of: object, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[of] = asyncio.create_task(work)

    def _stop(self, of: object) -> None:
        self._tasks.pop(of).cancel()

    async def ask(self, read: Callable[[Reader], Answer]) -> Answer:
        return await anyio.to_thread.run_sync(self._ask, read, limiter=self._readers)

    def _ask(self, read: Callable[[Reader], Answer]) -> Answer:
        with reading(self._core.engine) as connection:
            return read(connection)

    async def run(self) -> None:
        """Ends the pages of those who may not look any more, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            try:
                await self._check()
            except Exception as error:
                log_unless_away(error, "who may look at live pages could not be checked")

    async def _check(self) -> None:
        looking = {visitor.session: visitor for visitor in self._visitors.values()}
        if not looking:
            return
        over = await self.ask(lambda reader: {s for s, v in looking.items() if _is_over(reader, v)})
        for page, visitor in self._visitors.items():
            if visitor.session in over:
                page.put(OVER)
                page.end()


def _is_over(reader: Reader, visitor: Visitor) -> bool:
    """Also where the same session now shows another project, or may do less."""
    seen = sessions.seen(reader, visitor.session)
    return seen is None or seen.project != visitor.project or not seen.scopes >= visitor.scopes
