"""What can be done with a batch, a job, a device and a key."""

from collections.abc import Iterator

import pytest
from holdfast import Batch, Client, Conflict

from tests.unit.test_client_standin import KEY, StandIn, running_stand_in


@pytest.fixture
def server() -> Iterator[StandIn]:
    with running_stand_in() as server:
        yield server


@pytest.fixture
def client(server: StandIn) -> Iterator[Client]:
    with Client(server.url, KEY, timeout=10) as client:
        yield client


@pytest.fixture
def batch(client: Client) -> Batch:
    return client.create_batch("EMU_FREE", [{"runs": 1}, {"runs": 2}], open=True)


def test_a_handle_on_the_same_batch_is_equal(client: Client, batch: Batch) -> None:
    assert client.attach(batch.id) == batch
    assert len({client.attach(batch.id), batch}) == 1


def test_a_closed_batch_takes_no_more_jobs(batch: Batch) -> None:
    assert not batch.close().open
    with pytest.raises(Conflict) as caught:
        batch.add_jobs([{}])
    assert caught.value.code == "batch_closed"


def test_closing_can_wait_for_the_end(server: StandIn, batch: Batch) -> None:
    server.when_streamed(1, lambda: server.model.run_all(batch.id))
    assert batch.close(wait=True).status == "DONE"


def test_canceling_updates_the_handle(batch: Batch) -> None:
    assert batch.cancel().status == "CANCELED"
    assert batch.is_over


def test_only_the_jobs_named_are_canceled(batch: Batch) -> None:
    first, second = batch.jobs()
    verdicts = batch.cancel_jobs(ids=[second])
    assert [(each.id, each.verdict) for each in verdicts] == [(second.id, "canceled")]
    assert [job.id for job in batch.jobs("PENDING")] == [first.id]


def test_leaving_alone_what_runs_is_said_to_the_server(server: StandIn, batch: Batch) -> None:
    batch.cancel(interrupt=False)
    sent = server.seen("POST", f"/v1/batches/{batch.id}/cancel")[0].body
    assert sent == {"interrupt": False}


def test_a_rebatch_has_the_jobs_of_the_filter_and_a_parent(server: StandIn, batch: Batch) -> None:
    first, _ = server.model.jobs.values()
    server.model.end_job(first, "ERROR", reason="x")
    again = batch.rebatch(statuses=["ERROR"], name="again")
    assert (again.parent_id, again.name) == (batch.id, "again")
    assert [job.runs for job in again.jobs()] == [1]


def test_a_revived_batch_waits_again(batch: Batch) -> None:
    assert batch.cancel().revive().status == "PENDING"


def test_tags_are_replaced(batch: Batch) -> None:
    assert batch.set_tags("a", "b").tags == ["a", "b"]


def test_a_retried_job_is_a_new_one_at_the_end(batch: Batch) -> None:
    job = batch.retry(batch.jobs()[0])
    assert (job.ordinal, job.runs) == (3, 1)


def test_a_canceled_job_shows_its_reason_when_refreshed(batch: Batch) -> None:
    job = batch.jobs()[0]
    assert job.cancel().verdict == "canceled"
    assert job.refresh().reason == "canceled by the user"


def test_one_unknown_batch_stops_no_other_cancel(client: Client, batch: Batch) -> None:
    unknown = "00000000-0000-0000-0000-000000000000"
    verdicts = client.cancel_batches([unknown, batch])
    assert [each.verdict for each in verdicts] == ["not_found", "canceled"]


def test_a_paused_device_tells_its_reason(client: Client) -> None:
    paused = client.pause_device("emu-1", "laser")
    assert (paused.status, paused.reason) == ("PAUSED", "laser")
    assert client.drain_device("emu-1", "later").status == "DRAINING"
    assert client.drain_device("emu-1", "smoke", when="now").status == "PAUSED"
    assert client.resume_device("emu-1").status == "ONLINE"
    assert [device.name for device in client.devices()] == ["emu-1"]


def test_a_key_is_shown_once_and_can_be_revoked(client: Client) -> None:
    made = client.create_key("ci", ["read", "submit"])
    assert made.key.startswith("av_")
    client.revoke_key(made.id)
    (listed,) = client.keys()
    assert listed.revoked_at is not None
    assert not hasattr(listed, "key")


def test_a_batch_shows_itself_as_json(batch: Batch) -> None:
    shown = batch.to_dict()
    assert shown["created_at"] == batch.created_at.isoformat()
    assert not [name for name in shown if name.startswith("_")]
