"""Waiting: woken by events, polling where there are none, and never for longer than asked."""

import time
from collections.abc import Iterator

import pytest
from holdfast import Batch, Client, JobFailed, NotFound, WaitTimeout
from holdfast.stream import Parser

from tests.unit.test_client_standin import KEY, StandIn, running_stand_in


@pytest.fixture
def server() -> Iterator[StandIn]:
    with running_stand_in() as server:
        yield server


@pytest.fixture
def client(server: StandIn) -> Iterator[Client]:
    with Client(server.url, KEY, timeout=10, retries=0) as client:
        yield client


def test_a_wait_is_woken_by_the_event_and_does_not_poll(server: StandIn, client: Client) -> None:
    batch = client.create_batch("EMU_FREE", [{}, {}])
    server.when_streamed(1, lambda: server.model.run_all(batch.id))
    assert batch.wait(timeout=10).status == "DONE"
    assert len(server.seen("GET", f"/v1/batches/{batch.id}")) <= 3


def test_a_wait_for_what_is_over_opens_no_stream(server: StandIn, client: Client) -> None:
    batch = client.create_batch("EMU_FREE", [{}])
    server.model.run_all(batch.id)
    batch.wait(timeout=10)
    assert server.opened() == []


def test_a_server_without_a_stream_is_polled(server: StandIn, client: Client) -> None:
    server.streams = False
    batch = client.create_batch("EMU_FREE", [{}])
    server.when_streamed(1, lambda: server.model.run_all(batch.id))
    assert batch.wait(timeout=10).status == "DONE"


def test_a_stream_that_is_cut_is_taken_up_again(server: StandIn, client: Client) -> None:
    batch = client.create_batch("EMU_FREE", [{}])
    server.when_streamed(1, server.cut_streams)
    server.when_streamed(2, lambda: server.model.run_all(batch.id))
    assert batch.wait(timeout=10).status == "DONE"


def test_a_short_outage_does_not_end_a_wait(server: StandIn, client: Client) -> None:
    batch = client.create_batch("EMU_FREE", [{}])
    server.plan("GET", f"/v1/batches/{batch.id}")
    server.plan("GET", "/v1/events", status=503)
    server.when_streamed(2, lambda: server.model.run_all(batch.id))
    assert batch.wait(timeout=20).status == "DONE"


def test_keep_alives_do_not_carry_a_wait_past_its_timeout(client: Client) -> None:
    batch = client.create_batch("EMU_FREE", [{}])
    begun = time.monotonic()
    with pytest.raises(WaitTimeout, match=batch.id):
        batch.wait(timeout=0.2)
    assert 0.2 <= time.monotonic() - begun < 2


def test_a_silent_stream_does_not_hold_a_wait_past_its_timeout(
    server: StandIn, client: Client
) -> None:
    server.keep_alive_s = 60
    batch = client.create_batch("EMU_FREE", [{}])
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        batch.wait(timeout=0.2)
    assert time.monotonic() - begun < 2


def test_a_timeout_of_nothing_asks_once(server: StandIn, client: Client) -> None:
    batch = client.create_batch("EMU_FREE", [{}])
    with pytest.raises(WaitTimeout):
        batch.wait(timeout=0)
    assert len(server.seen("GET", f"/v1/batches/{batch.id}")) == 1


def test_a_batch_that_is_gone_ends_the_wait(server: StandIn, client: Client) -> None:
    batch = client.create_batch("EMU_FREE", [{}])
    del server.model.batches[batch.id]
    with pytest.raises(NotFound):
        batch.wait(timeout=10)


def test_progress_sees_the_count_grow_to_the_end(server: StandIn, client: Client) -> None:
    batch = client.create_batch("EMU_FREE", [{}, {}])
    seen: list[int] = []

    def progress(now: Batch) -> None:
        seen.append(now.jobs_done)
        todo = [job for job in server.model.jobs.values() if job.status == "PENDING"]
        if todo:
            server.model.end_job(todo[0], "DONE", {})

    batch.wait(timeout=10, progress=progress)
    assert (seen[0], seen[-1]) == (0, 2)
    assert seen == sorted(seen)


def test_a_created_batch_can_be_waited_for_at_once(server: StandIn, client: Client) -> None:
    server.when_streamed(1, server.model.run_everything)
    assert client.create_batch("EMU_FREE", [{}], wait=True).status == "DONE"


def test_waiting_at_the_creation_of_an_open_batch_waits_for_its_jobs(
    server: StandIn, client: Client
) -> None:
    server.when_streamed(1, server.model.run_everything)
    batch = client.create_batch("EMU_FREE", [{}], open=True, wait=True)
    assert (batch.open, batch.jobs_done) == (True, 1)


def test_added_jobs_can_be_waited_for_while_the_batch_stays_open(
    server: StandIn, client: Client
) -> None:
    batch = client.create_batch("EMU_FREE", [], open=True)
    server.when_streamed(1, lambda: server.model.run_all(batch.id))
    jobs = batch.add_jobs([{"runs": 1}, {"runs": 2}], wait=True)
    assert [job.status for job in jobs] == ["DONE", "DONE"]
    assert batch.refresh().open


def test_the_next_wait_reads_on_from_where_the_last_one_was(
    server: StandIn, client: Client
) -> None:
    batch = client.create_batch("EMU_FREE", [{}])
    for _ in range(2):
        with pytest.raises(WaitTimeout):
            batch.wait(timeout=0.2)
    first, *_, last = server.opened()
    assert "last-event-id" not in first.headers
    assert last.headers["last-event-id"] == "000001"


def test_many_jobs_are_waited_for_with_a_listing(server: StandIn, client: Client) -> None:
    batch = client.create_batch("EMU_FREE", [{} for _ in range(30)])
    server.when_streamed(1, lambda: server.model.run_all(batch.id))
    jobs = batch.wait_jobs(timeout=10)
    assert {job.status for job in jobs} == {"DONE"}
    assert not [seen for seen in server.requests if seen.path.startswith("/v1/jobs/")]


def test_results_come_in_the_order_of_submission_failures_among_them(
    server: StandIn, client: Client
) -> None:
    batch = client.create_batch("EMU_FREE", [{}, {}, {}])
    first, second, third = server.model.jobs.values()
    server.model.end_job(third, "DONE", {"n": 3})
    server.model.end_job(second, "ERROR", reason="out of atoms")
    server.model.end_job(first, "DONE", {"n": 1})
    results = batch.results(timeout=10)
    assert [result.value for result in results] == [{"n": 1}, None, {"n": 3}]
    with pytest.raises(JobFailed, match="out of atoms"):
        results[1].unwrap()


def test_results_wait_until_no_job_is_left(server: StandIn, client: Client) -> None:
    batch = client.create_batch("EMU_FREE", [{}, {}])
    server.when_streamed(1, lambda: server.model.run_all(batch.id))
    assert [result.value["ordinal"] for result in batch.results(timeout=10)] == [1, 2]


def test_a_job_waits_for_its_result(server: StandIn, client: Client) -> None:
    job = client.create_batch("EMU_FREE", [{}]).jobs()[0]
    server.when_streamed(1, lambda: server.model.run_all(job.batch_id))
    assert job.result(timeout=10) == {"ordinal": 1}
    assert job.ended_at is not None


@pytest.mark.parametrize("status", ["ERROR", "CANCELED"])
def test_a_job_without_a_result_says_why(server: StandIn, client: Client, status: str) -> None:
    job = client.create_batch("EMU_FREE", [{}]).jobs()[0]
    server.model.end_job(server.model.jobs[job.id], status, reason="the reason")
    with pytest.raises(JobFailed, match="the reason") as caught:
        job.result()
    assert (caught.value.job_id, caught.value.status) == (job.id, status)


def test_a_result_that_is_not_there_yet_is_none_without_waiting(client: Client) -> None:
    assert client.create_batch("EMU_FREE", [{}]).jobs()[0].result_now() is None


def test_followed_events_go_on_after_a_dropped_connection(server: StandIn, client: Client) -> None:
    batch = client.create_batch("EMU_FREE", [{}, {}])
    first, second = server.model.jobs.values()
    kinds = []
    for event in client.events(batch_id=batch.id, follow=True):
        kinds.append((event.kind, event.job_id))
        if len(kinds) == 1:
            server.cut_streams()
            server.model.end_job(first, "DONE", {})
        if len(kinds) == 2:
            server.model.end_job(second, "DONE", {})
        if event.ends_batch():
            break
    assert kinds == [
        ("batch.pending", None),
        ("job.done", str(first.id)),
        ("job.done", str(second.id)),
        ("batch.done", None),
    ]
    assert server.opened()[1].headers["last-event-id"] == "000001"


def test_past_events_are_listed_to_the_end(server: StandIn, client: Client) -> None:
    batch = client.create_batch("EMU_FREE", [{} for _ in range(150)])
    server.model.run_all(batch.id)
    ids = [event.id for event in client.events()]
    assert ids == [event.id for event in server.model.events]


def test_a_stream_means_the_same_however_it_is_cut_into_pieces() -> None:
    text = "\ufeff: hello\r\n\r\nid: 1\rdata: {\rdata: é}\r\rdata:x\n\nevent: none\n\n".encode()
    for cut in range(len(text) + 1):
        parser = Parser()
        assert parser.feed(text[:cut]) + parser.feed(text[cut:]) == ["{\né}", "x"]
