"""Open pages of the portal, as their streams are read by a browser."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

import httpx
from fastapi import FastAPI
from sqlalchemy import text

from orchestrator.api.portal import live
from orchestrator.api.portal.route import pages
from orchestrator.api.portal.topics import Events, Swap, Topic, shown
from orchestrator.api.portal.visitor import COOKIE
from orchestrator.services import sessions
from orchestrator.services.core import Core
from orchestrator.store.listings_reading import Reader
from tests.integration.api_stack import Api

ROW = text("SELECT id, status FROM batch WHERE project_id = :project")


@dataclass
class Shown:
    """What the test's pages show: every batch with its status. Notes what it was asked."""

    asked: list[int | None] = field(default_factory=list)
    concerned: set[UUID | None] = field(default_factory=set)
    before: Callable[[], object] = lambda: None

    def news(self, reader: Reader, project: UUID, events: Events) -> list[Swap]:
        self.asked.append(None if events is None else len(events))
        self.before()
        rows = reader.execute(ROW, {"project": project}).all()
        concerned = {event.batch_id for event in events or ()}
        self.concerned |= concerned
        return [
            shown(str(row.id), f"<b>{row.status}</b>")
            for row in rows
            if not concerned or row.id in concerned
        ]


def show(api: Api, *, batch: UUID | None = None, every_s: float | None = None) -> Shown:
    made = Shown()
    serve(api, Topic(key="all", news=made.news, batch=batch, every_s=every_s))
    return made


def serve(api: Api, topic: Topic) -> None:
    """At the address /live/test."""
    router, app = pages(), api.server.config.app
    assert isinstance(app, FastAPI)
    live.live(router, "/live/test")(lambda: topic)
    app.include_router(router)


def hub(api: Api) -> live.Live:
    app = api.server.config.app
    assert isinstance(app, FastAPI)
    found: live.Live = app.state.live
    return found


class OpenPage(threading.Thread):
    """Reads its stream to the end; `state` is what a browser would show."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(daemon=True)
        self.answer = answer
        self.state: dict[str, str] = {}
        self.names: list[str] = []
        self.messages = 0
        self.ended = False
        self.start()

    def run(self) -> None:
        with suppress(httpx.HTTPError):
            for line in self.answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    self.names.append(value)
                elif name == "data" and value:
                    self.messages += 1
                    self._take(value)
        self.ended = True

    def is_told(self) -> bool:
        return self.messages > 0

    def _take(self, html: str) -> None:
        for each in html.split("<hx-partial ")[1:]:
            target = each.partition("[id=&quot;")[2].partition("&quot;]")[0]
            self.state[target] = each.partition("<b>")[2].partition("</b>")[0]


def signed_in(core: Core, key: str) -> str:
    return sessions.with_key(core, key, "test")


@contextmanager
def opened(api: Api, session: str | None = None, path: str = "/live/test") -> Iterator[OpenPage]:
    cookie = session or signed_in(api.core, api.key)
    with (
        httpx.Client(base_url=api.url, timeout=20, cookies={COOKIE: cookie}) as http,
        http.stream("GET", path) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        page = OpenPage(answer)
        try:
            yield page
        finally:
            # Wakes the thread that reads from it; to close it would not.
            with suppress(OSError):
                answer.extensions["network_stream"].get_extra_info("socket").shutdown(2)
            page.join(10)


@contextmanager
def many(api: Api, count: int) -> Iterator[list[OpenPage]]:
    session = signed_in(api.core, api.key)
    with ExitStack() as stack:
        yield [stack.enter_context(opened(api, session)) for _ in range(count)]
