"""From an event to a hundred open pages: bytes at a connection, and elements of a real page."""

import re
import selectors
import socket
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Page

from tests.bench.contender import Unmeasured
from tests.bench.ground import NOOP, Ground, await_true
from tests.bench.plan import Plan, Step
from tests.bench.reading import Reading, at_most
from tests.portal.browser import Portal, running_browser

PAGES: Final = 100
BROWSERS: Final = 4
"""How many of them are real; the others read the same address and draw nothing."""
PAGE, ADDRESS = "/batches", "/live/batches"
COOKIE: Final = "holdfast_session"
PACE_S: Final = 0.25
SETTLE_S: Final = 2.0
AIMS: Final = {50: 300.0, 99: 300.0, 100: 1000.0}
BEGAN, OVER = "submitted", "over"
SEEN: Final = """() => {
    window.seen = {submitted: {}, over: {}};
    const look = () => {
        const at = (performance.timeOrigin + performance.now()) / 1000;
        for (const row of document.querySelectorAll("tr[id^=batch-]")) {
            seen.submitted[row.id] ??= at;
            if (row.querySelector(".badge.DONE")) seen.over[row.id] ??= at;
        }
    };
    new MutationObserver(look).observe(
        document.body, {subtree: true, childList: true, attributes: true, characterData: true});
}"""
Moments = dict[str, dict[str, float]]
"""What was seen of a batch, then the batch's id: seconds of the machine's clock."""


def live(ground: Ground, plan: Plan, step: Step) -> list[Reading]:
    with ExitStack() as stack:
        browser = stack.enter_context(running_browser())
        pages = [_page(Portal(browser, ground.stack.url), ground) for _ in range(BROWSERS)]
        readers = stack.enter_context(_reading(ground, PAGES - BROWSERS))
        time.sleep(SETTLE_S)
        batches = [_submitted(ground, step) for _ in range(plan.live_batches)]
        ground.until_over(batches[-1])
        told = _told(ground, batches)
        for page in pages:
            page.wait_for_timeout(SETTLE_S * 1e3)
        shown = [_shown(page) for page in pages]
        received = [reader.moments() for reader in readers]
    return [
        *_readings(f"{len(received)} connections", _delays(told, received)),
        *_readings(f"{len(shown)} real pages among them", _delays(told, shown)),
    ]


def _readings(where: str, delays: Sequence[float]) -> list[Reading]:
    """In milliseconds, over every event and every page."""
    ordered = sorted(delays)
    cuts = quantiles(ordered, n=100, method="inclusive")
    figures = {50: cuts[49], 99: cuts[98], 100: ordered[-1]}
    names = {50: "p50", 99: "p99", 100: "slowest"}
    return [
        Reading(
            metric=f"an event on {PAGES} open pages, {where}, {names[part]} of {len(ordered)}",
            unit="ms",
            ours=[figures[part]],
            aim=at_most(aim),
        )
        for part, aim in AIMS.items()
    ]


def _submitted(ground: Ground, step: Step) -> str:
    batch = ground.submit([NOOP])
    time.sleep(PACE_S)
    step()
    return batch


def _told(ground: Ground, batches: Sequence[str]) -> Moments:
    """When the database took down each event: before its transaction was committed."""
    rows = ground.database.execute(
        "SELECT batch_id::text, EXTRACT(epoch FROM min(at))::float8,"
        " EXTRACT(epoch FROM min(at) FILTER (WHERE status = 'DONE'))::float8"
        " FROM event WHERE batch_id = ANY(%s::uuid[]) AND job_id IS NULL GROUP BY batch_id",
        (list(batches),),
    ).fetchall()
    return {
        BEGAN: {batch: began for batch, began, _ in rows},
        OVER: {batch: over for batch, _, over in rows},
    }


def _delays(told: Moments, seen: Sequence[Moments]) -> list[float]:
    """Milliseconds. Raises Unmeasured where a page never saw something."""
    missed = sum(batch not in each[what] for what in told for batch in told[what] for each in seen)
    if missed:
        raise Unmeasured(f"{missed} events never came to a page")
    return [
        1e3 * (each[what][batch] - at)
        for what, events in told.items()
        for batch, at in events.items()
        for each in seen
    ]


def _page(portal: Portal, ground: Ground) -> Page:
    portal.context.add_cookies(
        [{"name": COOKIE, "value": _session(ground), "url": ground.stack.url}]
    )
    portal.open(PAGE)
    portal.page.evaluate(SEEN)
    return portal.page


def _shown(page: Page) -> Moments:
    seen: Mapping[str, Mapping[str, float]] = page.evaluate("seen")
    return {
        what: {row.removeprefix("batch-"): at for row, at in rows.items()}
        for what, rows in seen.items()
    }


def _session(ground: Ground) -> str:
    """One of its own for each page: its right to look is looked at by itself."""
    with httpx.Client(base_url=ground.stack.url, timeout=30) as http:
        found = re.search(r'name="csrf" value="(\w+)"', http.get("/login").text)
        if found is None:
            raise Unmeasured("the page to sign in has no form")
        form = {"csrf": found[1], "api_key": ground.stack.api_key, "next": "/"}
        http.post("/login", data=form)
        return str(http.cookies[COOKIE])


@dataclass
class _Reader:
    """One connection: what came, and when."""

    connection: socket.socket
    text: bytearray = field(default_factory=bytearray)
    came: list[tuple[int, float]] = field(default_factory=list)

    def take(self, at: float) -> bool:
        data = self.connection.recv(1 << 20)
        self.text += data
        self.came.append((len(self.text), at))
        return bool(data)

    def moments(self) -> Moments:
        row = re.compile(rb'<tr id="batch-([0-9a-f-]{36})".*?</tr>', re.DOTALL)
        found: Moments = {BEGAN: {}, OVER: {}}
        for match in row.finditer(self.text):
            at = next(at for end, at in self.came if end >= match.end())
            batch = match[1].decode()
            found[BEGAN].setdefault(batch, at)
            if b"badge DONE" in match[0]:
                found[OVER].setdefault(batch, at)
        return found


@contextmanager
def _reading(ground: Ground, count: int) -> Generator[list[_Reader]]:
    readers = [_Reader(_connected(ground)) for _ in range(count)]
    over = threading.Event()
    thread = threading.Thread(target=_read, args=(readers, over), daemon=True)
    thread.start()
    try:
        await_true(lambda: all(reader.text for reader in readers), "the pages to connect", 30)
        yield readers
    finally:
        over.set()
        thread.join(5)
        for reader in readers:
            reader.connection.close()


def _connected(ground: Ground) -> socket.socket:
    host, port = urlsplit(ground.stack.url).netloc.split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(
        f"GET {ADDRESS} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/event-stream\r\n"
        f"Cookie: {COOKIE}={_session(ground)}\r\n\r\n".encode()
    )
    connection.setblocking(False)
    return connection


def _read(readers: Sequence[_Reader], over: threading.Event) -> None:
    """Only takes the time: what it means is found out afterwards."""
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader.connection, selectors.EVENT_READ, reader)
        while not over.is_set():
            for key, _ in selector.select(0.1):
                found: Any = key.data
                if not found.take(time.time()):
                    selector.unregister(key.fileobj)
