"""The event stream, over real HTTP."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import psycopg
import pytest

from orchestrator.api import streaming
from orchestrator.broker.streams import Streams as Announcer
from orchestrator.services.core import Core
from schemas.event import Event
from tests.integration.api_stack import Api, add_device, batch_body, new_key, serving, start_server
from tests.integration.puppet import OTHER_PROJECT, Puppet, add_jobs
from tests.waiting import until

Sql = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    add_device(core, "dev-1")
    with serving(core) as api:
        yield api


@dataclass
class Told:
    """What an open stream has told; reading goes on where it stopped."""

    answer: httpx.Response
    lines: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = self.answer.iter_lines()

    def next(self) -> Event:
        """Passing over comments; fails with the client's read timeout when nothing comes."""
        message: dict[str, str] = {}
        for line in self.lines:
            if not line and "data" in message:
                event = Event.model_validate_json(message["data"])
                assert (message["id"], message["event"]) == (event.id, event.kind)
                return event
            name, _, value = line.partition(": ")
            if name:
                message[name] = value
        raise AssertionError("the stream ended")

    def comment(self) -> str:
        return next(line for line in self.lines if line.startswith(":"))

    def rest(self) -> list[str]:
        return list(self.lines)


@contextmanager
def stream(api: Api, key: str | None = None, last: str = "", **params: str) -> Iterator[Told]:
    headers = {"Authorization": f"Bearer {key or api.key}", "Accept": "text/event-stream"}
    if last:
        headers["Last-Event-ID"] = last
    with (
        httpx.Client(base_url=api.url, timeout=10) as http,
        http.stream("GET", "/v1/events", params=params, headers=headers) as answer,
    ):
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        told = Told(answer)
        assert told.comment() == ": welcome"
        yield told


def test_a_batchs_stream_begins_at_its_beginning(api: Api, puppet: Puppet) -> None:
    created = api.batch()
    puppet.serve_all()
    with stream(api, batch_id=created["id"]) as told:
        kinds = [told.next().kind for _ in range(6)]
    assert kinds == ["created", "admitted", "started", "started", "done", "drained"]


def test_a_projects_stream_begins_now(api: Api) -> None:
    api.batch()
    with stream(api) as told:
        later = api.batch()
        assert told.next().batch_id == UUID(later["id"])


def test_a_stream_goes_on_behind_the_last_event_seen(api: Api) -> None:
    ids = [api.batch()["id"] for _ in range(3)]
    seen = api.get("/v1/events")["items"][0]["id"]
    with stream(api, last=seen) as told:
        assert [str(told.next().batch_id) for _ in range(2)] == ids[1:]


def test_last_event_id_goes_before_the_parameter(api: Api) -> None:
    ids = [api.batch()["id"] for _ in range(3)]
    first, second, _ = (event["id"] for event in api.get("/v1/events")["items"])
    with stream(api, last=second, after=first) as told:
        assert str(told.next().batch_id) == ids[2]


def test_a_stream_of_one_batch_tells_of_no_other(api: Api) -> None:
    mine = api.batch(open=True)
    with stream(api, batch_id=mine["id"]) as told:
        assert told.next().kind == "created"
        api.batch()
        add_jobs(api.core, UUID(mine["id"]), 1)
        event = told.next()
    assert (event.kind, str(event.batch_id)) == ("jobs_added", mine["id"])


def test_an_event_is_told_at_once(api: Api) -> None:
    with stream(api) as told:
        for _ in range(3):
            api.batch()
            told.next()
        begun = time.monotonic()
        for _ in range(10):
            api.batch()
            told.next()
        assert time.monotonic() - begun < 5 * streaming.LOOK_EVERY_S


def test_events_are_told_without_a_wake_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Announcer, "announce", lambda *_: None)
    with stream(api) as told:
        created = api.batch()
        assert told.next().batch_id == UUID(created["id"])


def test_an_event_that_commits_late_is_told_in_its_turn(api: Api, sql: Sql) -> None:
    """Its id is drawn first, its transaction ends last."""
    slow = api.batch(open=True)
    now = api.get("/v1/events", after="now")["next_cursor"]
    with sql.transaction():
        sql.execute(
            "INSERT INTO event (project_id, batch_id, kind) SELECT project_id, id, 'slow'"
            " FROM batch WHERE id = %s",
            [slow["id"]],
        )
        fast = api.batch()
        assert api.get("/v1/events", after=now)["items"] == []
    told = api.get("/v1/events", after=now)["items"]
    assert [(e["kind"], e["batch_id"]) for e in told] == [
        ("slow", slow["id"]),
        ("created", fast["id"]),
    ]


def test_a_stream_tells_nothing_of_other_projects(api: Api) -> None:
    stranger = new_key(api.core, project=OTHER_PROJECT)
    with stream(api, key=stranger) as told:
        api.batch()
        own = api.post("/v1/batches", batch_body(), key=stranger)
        assert told.next().batch_id == UUID(own["id"])


def test_a_quiet_stream_is_kept_alive(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "KEEP_ALIVE_S", 0.5)
    monkeypatch.setattr(streaming, "LOOK_EVERY_S", 0.1)
    with stream(api) as told:
        assert [told.comment() for _ in range(2)] == [": still here"] * 2


def test_a_stream_ends_when_its_key_is_revoked(api: Api) -> None:
    made = api.post("/v1/keys", {"name": "viewer", "scopes": ["read"]})
    with stream(api, key=made["key"]) as told:
        api.call("DELETE", f"/v1/keys/{made['id']}")
        assert [line for line in told.rest() if line.startswith("data")] == []


def test_streams_end_when_the_server_stops(api: Api) -> None:
    url, server, thread = start_server(api.core)
    other = Api(url, api.core, api.key, api.http, server)
    with stream(other) as told:
        begun = time.monotonic()
        server.should_exit = True
        assert told.rest() == [""]
    thread.join(timeout=10)
    assert (thread.is_alive(), time.monotonic() - begun < 4) == (False, True)


def test_a_client_that_leaves_is_forgotten(api: Api) -> None:
    streams = api.streams
    with stream(api):
        assert streams.hall.open == 1
    until(lambda: streams.hall.open == 0)


def test_there_are_only_so_many_streams(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.streams.hall, "most", 1)
    with stream(api):
        answer = api.call("GET", "/v1/events", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


def test_one_project_does_not_take_all_streams(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.streams.hall, "most", 2)
    stranger = new_key(api.core, project=OTHER_PROJECT)
    with stream(api):
        answer = api.call("GET", "/v1/events", headers={"Accept": "text/event-stream"})
        assert (answer.status_code, "your project" in answer.json()["detail"]) == (503, True)
        with stream(api, key=stranger):
            assert api.streams.hall.open == 2


@pytest.mark.parametrize("cursor", ["nonsense", "1", "-1-2", "9" * 30 + "-1"])
def test_a_cursor_that_is_none_is_refused(api: Api, cursor: str) -> None:
    for accept in ("application/json", "text/event-stream"):
        answer = api.call("GET", f"/v1/events?after={cursor}", headers={"Accept": accept})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "after")


def test_a_client_that_takes_nothing_is_dropped(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SLOWEST_S", 0.2)
    for _ in range(12):
        created = api.batch(1000)
        api.post(f"/v1/batches/{created['id']}/cancel")
    with stream_unread(api, api.get("/v1/events", limit=1)["items"][0]["id"]):
        until(lambda: api.streams.hall.open == 1)
        until(lambda: api.streams.hall.open == 0, 10)


@contextmanager
def stream_unread(api: Api, after: str) -> Iterator[None]:
    """A client that asks and then never reads, with as small a buffer as it may have."""
    address = urlsplit(api.url)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect((address.hostname, address.port))
        client.sendall(
            f"GET /v1/events?after={after} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
            f"Authorization: Bearer {api.key}\r\n\r\n".encode()
        )
        yield
