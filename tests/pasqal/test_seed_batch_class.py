"""PASQAL's page on the class `Batch`: every attribute and every method, on the real client."""

from datetime import datetime
from typing import Any

import pytest
from pasqal_cloud.errors import JobCreationError, JobRetryError

from tests.pasqal.conftest import Cloud
from tests.pasqal.programs import fixed, parametrized, unique

JOBS = [{"runs": 5, "variables": {"omega_max": 1.0}}, {"runs": 6, "variables": {"omega_max": 2.0}}]


def submitted(cloud: Cloud, **options: Any) -> Any:
    return cloud.create_batch(
        parametrized().to_abstract_repr(),
        JOBS,
        **{"device_type": "EMU_FREE", "tags": unique(), **options},
    )


def test_every_attribute_of_a_batch_that_is_done(cloud: Cloud) -> None:
    batch = cloud.get_batch(submitted(cloud, wait=True, tags=["attributes"]).id)
    assert (batch.open, batch.complete, batch.status) == (False, True, "DONE")
    assert (batch.device_type, batch.project_id) == ("EMU_FREE", cloud.project_id)
    assert (batch.webhook, batch.parent_id, batch.tags) == (None, None, ["attributes"])
    assert batch.sequence_builder == parametrized().to_abstract_repr()
    assert batch.jobs_count == 2
    assert batch.jobs_count_per_status["DONE"] == 2
    assert batch.user_id
    with pytest.warns(DeprecationWarning, match="ordered_jobs"):
        assert list(batch.jobs) == [job.id for job in batch.ordered_jobs]
    assert [job.runs for job in batch.ordered_jobs] == [5, 6]


def test_timestamps_match_what_the_device_did(cloud: Cloud) -> None:
    batch = submitted(cloud, wait=True)
    batch.refresh()
    first, second = batch.ordered_jobs
    moments = [
        batch.created_at,
        batch.start_datetime,
        first.start_timestamp,
        first.end_timestamp,
        second.start_timestamp,
        second.end_timestamp,
        batch.end_datetime,
    ]
    told = [datetime.fromisoformat(moment or "") for moment in moments]
    assert all(moment.tzinfo is not None for moment in told)
    assert told == sorted(told)


def test_adding_to_a_closed_batch_is_refused(cloud: Cloud) -> None:
    batch = submitted(cloud)
    with pytest.raises(JobCreationError, match="closed"):
        batch.add_jobs(JOBS)
    with pytest.raises(JobRetryError):
        batch.retry(batch.ordered_jobs[0])


def test_closing_waits_for_the_jobs_and_twice_is_once(cloud: Cloud) -> None:
    batch = submitted(cloud, open=True)
    batch.close(wait=True)
    assert [job.status for job in batch.ordered_jobs] == ["DONE", "DONE"]
    batch.close()
    assert (batch.open, batch.status) == (False, "DONE")


def test_the_old_word_for_closing_still_closes(cloud: Cloud) -> None:
    batch = submitted(cloud, open=True)
    with pytest.warns(DeprecationWarning, match="close"):
        batch.declare_complete(wait=True, fetch_results=True)
    assert batch.complete


def test_an_empty_open_batch_waits_for_its_first_job(cloud: Cloud) -> None:
    batch = cloud.create_batch(parametrized().to_abstract_repr(), [], open=True, tags=unique())
    assert (batch.jobs_count, batch.ordered_jobs) == (0, [])
    batch.add_jobs(JOBS, wait=True)
    assert batch.jobs_count == 2
    batch.close()
    assert batch.status == "DONE"


def test_tags_are_replaced(cloud: Cloud) -> None:
    batch = submitted(cloud, tags=["old"])
    batch.set_tags(["new", "other tag"])
    assert cloud.get_batch(batch.id).tags == ["new", "other tag"]


def test_jobs_may_bring_sequences_of_their_own(cloud: Cloud) -> None:
    own = fixed(3).to_abstract_repr()
    batch = cloud.create_batch(
        parametrized().to_abstract_repr(),
        [JOBS[0], {"runs": 7, "serialized_sequence": own}],
        device_type="EMU_FREE",
        open=True,
        tags=unique(),
    )
    batch.retry(batch.ordered_jobs[1], wait=True)
    widths = [{len(bits) for bits in job.result or {}} for job in batch.ordered_jobs]
    assert widths == [{2}, {3}, {3}]
    assert [job.sequence for job in batch.ordered_jobs] == [None, own, own]
    batch.close()
