"""Calls of the client: what is sent, what comes back, and what is sent again."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from holdfast import (
    ApiError,
    Client,
    Conflict,
    ConnectionFailed,
    Forbidden,
    Invalid,
    NotConfigured,
    NotFound,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from holdfast.transport import Transport, path

from tests.unit.test_client_standin import KEY, StandIn, running_stand_in

JOBS: list[dict[str, Any]] = [{"runs": 10, "variables": {"x": 1.0}}, {"runs": 20}]


@pytest.fixture
def server() -> Iterator[StandIn]:
    with running_stand_in() as server:
        yield server


@pytest.fixture
def client(server: StandIn) -> Iterator[Client]:
    with Client(server.url, KEY, timeout=10) as client:
        yield client


class Waker:
    """Instead of sleeping: remembers for how long it would have slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_a_new_batch_knows_its_state_and_its_moments(client: Client) -> None:
    batch = client.create_batch("EMU_FREE", JOBS, name="first", tags=["a"], priority=3)
    assert (batch.status, batch.jobs_total, batch.priority) == ("PENDING", 2, 3)
    assert isinstance(batch.created_at, datetime)
    assert batch.created_at.tzinfo is not None


def test_jobs_come_in_the_order_of_submission(client: Client) -> None:
    batch = client.create_batch("EMU_FREE", JOBS)
    assert [(job.ordinal, job.runs) for job in batch.jobs()] == [(1, 10), (2, 20)]


def test_what_is_not_given_is_left_to_the_server(server: StandIn, client: Client) -> None:
    client.create_batch("EMU_FREE", JOBS)
    sent = server.seen("POST", "/v1/batches")[0].body
    assert set(sent) == {"device_type", "jobs", "open"}


def test_a_pulser_sequence_is_serialized(server: StandIn, client: Client) -> None:
    class Sequence:
        def to_abstract_repr(self) -> str:
            return '{"version": "1"}'

    client.create_batch("EMU_FREE", JOBS, sequence=Sequence())
    assert server.seen("POST", "/v1/batches")[0].body["sequence"] == '{"version": "1"}'


def test_an_array_among_the_variables_is_sent_as_a_list(server: StandIn, client: Client) -> None:
    class Array:
        def tolist(self) -> list[float]:
            return [1.0, 2.0]

    client.create_batch("EMU_FREE", [{"runs": 1, "variables": {"x": Array()}}])
    sent = server.seen("POST", "/v1/batches")[0].body
    assert sent["jobs"][0]["variables"] == {"x": [1.0, 2.0]}


def test_an_answer_lost_on_the_way_makes_no_second_batch(server: StandIn, client: Client) -> None:
    server.plan("POST", "/v1/batches", worked=True)
    batch = client.create_batch("EMU_FREE", JOBS)
    first, second = server.seen("POST", "/v1/batches")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert list(server.model.batches) == [batch.id]


def test_what_was_deleted_by_a_call_whose_answer_was_lost_is_deleted(
    server: StandIn, client: Client
) -> None:
    server.plan("DELETE", "/v1/members/ada")
    client.members.remove("ada")
    assert len(server.seen("DELETE", "/v1/members/ada")) == 2
    with pytest.raises(NotFound):
        client.members.remove("ada")


def test_two_calls_have_two_idempotency_keys(server: StandIn, client: Client) -> None:
    client.create_batch("EMU_FREE", JOBS)
    client.create_batch("EMU_FREE", JOBS)
    keys = {each.headers["idempotency-key"] for each in server.seen("POST", "/v1/batches")}
    assert len(keys) == 2


def test_a_key_of_the_users_own_makes_a_rerun_the_same_batch(client: Client) -> None:
    ids = {client.create_batch("A", JOBS, idempotency_key="mine").id for _ in range(2)}
    assert len(ids) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_is_away_is_asked_again(server: StandIn, client: Client, status: int) -> None:
    server.plan("GET", "/v1/limits", status=status)
    assert client.limits().max_runs == 100_000


def test_the_pause_that_the_server_asks_for_is_kept(server: StandIn) -> None:
    server.plan("GET", "/v1/limits", status=503, headers={"Retry-After": "7"})
    waker = Waker()
    transport = Transport(server.url, KEY, timeout=10, retries=1, sleep=waker)
    transport.get(path("limits"))
    transport.close()
    assert waker.slept == [7.0]


def test_the_pauses_grow_and_are_jittered() -> None:
    waker = Waker()
    transport = Transport("http://127.0.0.1:9", KEY, timeout=1, retries=4, sleep=waker)
    with pytest.raises(ConnectionFailed):
        transport.get(path("limits"))
    transport.close()
    most = [0.1, 0.2, 0.4, 0.8]
    assert all(top / 2 <= slept <= top for slept, top in zip(waker.slept, most, strict=True))


def test_a_server_that_is_not_there_is_named(client: Client) -> None:
    with (
        Client("http://127.0.0.1:9", KEY, retries=0) as nobody,
        pytest.raises(ConnectionFailed, match=r"http://127\.0\.0\.1:9.*Is the server running"),
    ):
        nobody.limits()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (413, TooLarge),
        (422, Invalid),
        (503, Unavailable),
        (500, ApiError),
    ],
)
def test_each_refusal_has_its_own_error(server: StandIn, status: int, kind: type[ApiError]) -> None:
    problem = b'{"title": "t", "status": 0, "code": "the_code", "detail": "the detail"}'
    server.plan("GET", "/v1/limits", status=status, body=problem)
    with Client(server.url, KEY, retries=0) as client, pytest.raises(kind) as caught:
        client.limits()
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.detail) == (status, "the_code", "the detail")


def test_an_invalid_request_names_the_fields(client: Client) -> None:
    with pytest.raises(Invalid, match=r"jobs\[1\]\.runs") as caught:
        client.create_batch("EMU_FREE", [{"runs": 1}, {"runs": 0}])
    assert [error.field for error in caught.value.errors] == ["jobs[1].runs"]


def test_an_answer_that_is_no_problem_document_is_still_an_error(
    server: StandIn, client: Client
) -> None:
    server.plan("GET", "/v1/limits", status=500, body=b"<html>oops</html>")
    with pytest.raises(ApiError, match="answered 500"):
        client.limits()


def test_a_page_of_something_else_is_an_error_not_a_crash(server: StandIn, client: Client) -> None:
    server.plan("GET", "/v1/limits", status=200, body=b"<html>hello</html>")
    with pytest.raises(ApiError, match="is the address that of a Holdfast server"):
        client.limits()


def test_a_field_of_a_newer_server_is_ignored(server: StandIn, client: Client) -> None:
    device = b'{"name": "d", "type": "t", "status": "ONLINE", "fence": 1, "mood": "good"}'
    server.plan("GET", "/v1/devices/d", status=200, body=device)
    assert client.device("d").status == "ONLINE"


def test_a_listing_is_fetched_page_by_page_as_it_is_read(server: StandIn, client: Client) -> None:
    made = [client.create_batch("EMU_FREE", JOBS).id for _ in range(5)]
    listing = client.batches(page_size=2)
    assert [next(listing).id, next(listing).id] == made[:2]
    assert len(server.seen("GET", "/v1/batches")) == 1
    assert [batch.id for batch in listing] == made[2:]
    assert len(server.seen("GET", "/v1/batches")) == 3


def test_filters_are_sent_as_they_are_meant(server: StandIn, client: Client) -> None:
    when = datetime(2030, 1, 1, tzinfo=UTC)
    list(client.batches(status=["DONE", "ERROR"], open=False, created_after=when, order="desc"))
    query = server.seen("GET", "/v1/batches")[0].query
    assert query["status"] == ["DONE", "ERROR"]
    assert query["open"] == ["false"]
    assert datetime.fromisoformat(query["created_after"][0]) == when


def test_an_id_cannot_reach_another_resource(server: StandIn, client: Client) -> None:
    with pytest.raises(NotFound):
        client.attach("../keys")
    assert not server.seen("GET", "/v1/keys")


def test_the_address_and_the_key_come_from_the_environment(
    server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_URL", server.url)
    monkeypatch.setenv("HOLDFAST_API_KEY", KEY)
    with Client() as client:
        assert client.limits().max_lanes == 64


def test_what_is_missing_is_named_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDFAST_URL", raising=False)
    monkeypatch.delenv("HOLDFAST_API_KEY", raising=False)
    with pytest.raises(NotConfigured, match=r"HOLDFAST_URL.*HOLDFAST_API_KEY"):
        Client()


@pytest.mark.parametrize("key", ["av_se\ncret", "av_sécret", " "])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(NotConfigured) as caught:
        Client("http://127.0.0.1:9", key)
    assert "cret" not in str(caught.value)


def test_no_secret_is_in_a_repr_a_log_or_an_error(
    server: StandIn, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    secret = client.create_key("ci", ["read"])
    server.plan("GET", "/v1/limits", status=503)
    client.limits()
    shown = f"{client!r} {client.__dict__!r} {secret!r} {caplog.text}"
    assert KEY not in shown
    assert secret.key not in shown


def test_a_password_in_the_address_is_not_shown() -> None:
    with (
        Client("http://me:hush@127.0.0.1:9", KEY, retries=0) as client,
        pytest.raises(ConnectionFailed) as caught,
    ):
        client.limits()
    assert "hush" not in f"{caught.value} {client!r}"
