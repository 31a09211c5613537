"""Live pages over real HTTP: what each is told, and what it costs."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from orchestrator.api import streaming
from orchestrator.api.portal.topics import Events, Swap, Topic, shown
from orchestrator.api.portal.visitor import COOKIE
from orchestrator.broker.streams import Streams as Announcer
from orchestrator.services import sessions
from orchestrator.services.core import Core
from orchestrator.services.keys import digest_of
from orchestrator.store import listings_events
from orchestrator.store.listings_reading import Reader
from tests.integration.api_stack import Api, add_device, batch_body, new_key, serving, start_server
from tests.integration.live_pages import hub, many, opened, serve, show, signed_in
from tests.integration.puppet import OTHER_PROJECT
from tests.waiting import until

Sql = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    add_device(core, "dev-1")
    with serving(core) as api:
        yield api


def status_of(sql: Sql) -> dict[str, str]:
    return {str(id): str(status) for id, status in sql.execute("SELECT id, status FROM batch")}


def test_one_look_serves_every_page(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counted(*given: Any, **named: Any) -> Any:
        told, withheld = real(*given, **named)
        read.append(len(told))
        return told, withheld

    real = listings_events.list_news
    monkeypatch.setattr("orchestrator.api.portal.feed.list_news", counted)
    asked = show(api).asked
    first = api.batch(open=True)
    with many(api, 25) as open_pages:
        until(lambda: all(page.state.get(first["id"]) == "PENDING" for page in open_pages))
        until(lambda: asked[-3:] != [None] and read)
        del asked[:], read[:]
        api.post(f"/v1/batches/{first['id']}/cancel")
        until(lambda: all(page.state[first["id"]] == "CANCELED" for page in open_pages))
    # Twice where some other transaction was open meanwhile.
    assert 1 <= len([each for each in read if each]) <= 2
    assert 1 <= len([each for each in asked if each]) <= 2


def test_every_page_ends_up_with_what_is_true(api: Api, sql: Sql) -> None:
    show(api)
    with many(api, 8) as open_pages:
        for n in range(20):
            made = api.batch(open=True)
            if n % 2:
                api.post(f"/v1/batches/{made['id']}/cancel")
        true = status_of(sql)
        until(lambda: all(page.state == true for page in open_pages))


def test_a_page_that_comes_back_is_told_all(api: Api) -> None:
    show(api)
    first = api.batch(open=True)["id"]
    session = signed_in(api.core, api.key)
    with opened(api, session) as page:
        until(lambda: page.state == {first: "PENDING"})
    api.post(f"/v1/batches/{first}/cancel")
    with opened(api, session) as page:
        until(lambda: page.state == {first: "CANCELED"})


def test_an_event_is_told_while_a_transaction_elsewhere_is_open(api: Api, sql: Sql) -> None:
    show(api)
    with opened(api) as page, sql.transaction():
        sql.execute("SELECT pg_current_xact_id()")
        made = api.batch(open=True)
        until(lambda: page.state == {made["id"]: "PENDING"})


def test_a_page_of_one_batch_is_told_of_no_other(api: Api) -> None:
    mine = api.batch(open=True)["id"]
    shows = show(api, batch=UUID(mine))
    with opened(api) as page:
        until(lambda: page.state)
        api.batch()
        api.post(f"/v1/batches/{mine}/cancel")
        until(lambda: page.state[mine] == "CANCELED")
    assert shows.concerned == {UUID(mine)}


def test_another_projects_events_reach_no_page(api: Api) -> None:
    asked = show(api).asked
    stranger = new_key(api.core, project=OTHER_PROJECT)
    with opened(api) as mine, opened(api, signed_in(api.core, stranger)) as theirs:
        until(lambda: asked == [None, None])
        made = api.post("/v1/batches", batch_body(open=True), key=stranger)
        until(lambda: theirs.state == {made["id"]: "PENDING"})
        own = api.batch(open=True)
        until(lambda: mine.state == {own["id"]: "PENDING"})
    assert theirs.state.keys() == {made["id"]}


def test_pages_are_told_without_a_wake_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Announcer, "announce", lambda *_: None)
    show(api)
    with opened(api) as page:
        until(lambda: hub(api).hall.open == 1)
        made = api.batch(open=True)
        until(lambda: page.state == {made["id"]: "PENDING"})


def test_a_timed_look_sends_only_what_changed(api: Api, sql: Sql) -> None:
    """No event tells of it: the row is changed behind our back."""
    asked = show(api, every_s=0.05).asked
    ids = [api.batch(open=True)["id"] for _ in range(3)]
    with opened(api) as page:
        until(lambda: len(asked) > 6)
        told = page.messages
        sql.execute("UPDATE batch SET status = 'PAUSED' WHERE id = %s", [ids[1]])
        until(lambda: page.state[ids[1]] == "PAUSED")
        until(lambda: len(asked) > 15)
        assert page.messages == told + 1


@pytest.mark.parametrize("how", ["signed out", "key revoked"])
def test_a_page_is_over_when_its_session_is(api: Api, how: str) -> None:
    show(api)
    made = api.post("/v1/keys", {"name": "viewer", "scopes": ["read"]})
    session = signed_in(api.core, made["key"])
    with opened(api) as other, opened(api, session) as page:
        until(lambda: hub(api).hall.open == 2)
        if how == "signed out":
            sessions.end(api.core, digest_of(session))
        else:
            api.call("DELETE", f"/v1/keys/{made['id']}")
        until(lambda: page.ended)
        assert (page.names, other.ended) == (["over"], False)


def test_who_is_not_signed_in_is_told_nothing(api: Api) -> None:
    asked = show(api).asked
    answer = api.http.get("/live/test", headers={"HX-Request": "true"})
    assert (answer.status_code, asked) == (401, [])


def test_pages_are_stale_while_the_database_is_away_and_right_again(api: Api, sql: Sql) -> None:
    show(api)
    made = api.batch(open=True)["id"]
    with opened(api) as page:
        until(lambda: page.state == {made: "PENDING"})
        with nobody_let_in(sql):
            until(lambda: page.names == ["stale"])
            sql.execute("UPDATE batch SET status = 'PAUSED'")
        until(lambda: page.names == ["stale", "fresh"])
        until(lambda: page.state == {made: "PAUSED"})


@contextmanager
def nobody_let_in(sql: Sql) -> Iterator[None]:
    """The database takes no new connection, and all but the test's own are cut."""
    name = sql.info.dbname
    elsewhere = make_conninfo(sql.info.dsn, dbname="postgres", password=sql.info.password)
    with psycopg.connect(elsewhere, autocommit=True) as outside:
        outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            outside.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND pid <> %s",
                [name, sql.info.backend_pid],
            )
            yield
        finally:
            outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def test_a_topic_that_breaks_is_tried_again(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    broken = show(api)
    broken.before = lambda: 1 // 0
    made = api.batch(open=True)["id"]
    with opened(api) as page:
        until(lambda: page.names == ["stale"])
        broken.before = lambda: None
        until(lambda: page.names == ["stale", "fresh"] and page.state == {made: "PENDING"})
    assert "ZeroDivisionError" in caplog.text


def test_pages_end_when_the_server_stops(api: Api) -> None:
    url, server, thread = start_server(api.core)
    other = Api(url, api.core, api.key, api.http, server)
    show(other)
    with many(other, 5) as open_pages:
        until(lambda: hub(other).hall.open == 5)
        begun = time.monotonic()
        server.should_exit = True
        until(lambda: all(page.ended for page in open_pages))
    thread.join(timeout=10)
    assert (thread.is_alive(), time.monotonic() - begun < 4) == (False, True)


def test_a_page_that_leaves_is_forgotten(api: Api) -> None:
    asked = show(api, every_s=0.05).asked
    with opened(api):
        until(lambda: len(asked) > 2)
    until(lambda: hub(api).hall.open == 0)
    seen = len(asked)
    api.batch()
    with opened(api):
        until(lambda: len(asked) > seen)
    assert asked[seen] is None or asked[seen + 1] is None


def test_there_are_only_so_many_pages(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub(api).hall, "most", 1)
    show(api)
    session = signed_in(api.core, api.key)
    with opened(api, session):
        until(lambda: hub(api).hall.open == 1)
        answer = api.http.get("/live/test", headers={"Cookie": f"{COOKIE}={session}"})
    assert answer.status_code == 503


def test_a_page_that_takes_nothing_is_dropped(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SLOWEST_S", 0.2)
    made = 0

    def much(reader: Reader, project: UUID, events: Events) -> list[Swap]:
        nonlocal made
        made += 1
        return [shown("much", f"{made} " + "x" * 300_000)]

    serve(api, Topic(key="much", news=much, every_s=0.01))
    address = urlsplit(api.url)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect((address.hostname, address.port))
        session = signed_in(api.core, api.key)
        client.sendall(
            f"GET /live/test HTTP/1.1\r\nHost: x\r\nCookie: {COOKIE}={session}\r\n\r\n".encode()
        )
        until(lambda: hub(api).hall.open == 1)
        until(lambda: hub(api).hall.open == 0, 20)
