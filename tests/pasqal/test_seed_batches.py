"""The programs of PASQAL's page «Batches of jobs», line by line, on the real client."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pasqal_cloud.device import EmulatorType
from pasqal_cloud.utils.constants import JobStatus
from pasqal_cloud.utils.filters import JobFilters, PaginationParams, RebatchFilters
from pulser.json.abstract_repr.deserializer import deserialize_device

from tests.pasqal.conftest import Cloud, Dev
from tests.pasqal.programs import mappable, parametrized, unique

RUN = {"runs": 50, "variables": {"omega_max": 9.5}}


def submitted(cloud: Cloud, jobs: int = 2, **options: Any) -> Any:
    runs = [{"runs": 5 + n, "variables": {"omega_max": 1.0 + n}} for n in range(jobs)]
    return cloud.create_batch(
        parametrized().to_abstract_repr(), runs, device_type="EMU_FREE", tags=unique(), **options
    )


def test_an_open_batch_takes_jobs_until_it_is_closed(cloud: Cloud) -> None:
    batch = cloud.create_batch(parametrized().to_abstract_repr(), [RUN], open=True, tags=unique())
    batch.add_jobs(
        [
            {"runs": 50, "variables": {"omega_max": 10}},
            {"runs": 50, "variables": {"omega_max": 10.5}},
        ],
        wait=True,
    )
    assert [job.status for job in batch.ordered_jobs] == ["DONE"] * 3
    assert batch.status == "RUNNING"
    batch.close()
    assert (batch.open, batch.complete, batch.status) == (False, True, "DONE")


def test_jobs_of_one_batch_may_have_different_registers(cloud: Cloud) -> None:
    with pytest.warns(DeprecationWarning, match="emulator"):
        batch = cloud.create_batch(
            mappable().to_abstract_repr(),
            [
                {"runs": 100, "variables": {"qubits": {"q0": 1, "q1": 5, "q2": 7}}},
                {"runs": 100, "variables": {"qubits": {"q0": 2, "q1": 4, "q2": 8, "q3": 26}}},
            ],
            emulator=EmulatorType.EMU_FREE,
            wait=True,
            tags=unique(),
        )
    first, second = batch.ordered_jobs
    assert {len(bits) for bits in first.result or {}} == {3}
    assert {len(bits) for bits in second.result or {}} == {4}
    assert sum((second.result or {}).values()) == 100


def test_jobs_are_listed_by_filter_and_by_page(cloud: Cloud) -> None:
    began = datetime.now(UTC) - timedelta(seconds=5)
    batch = submitted(cloud, jobs=5, wait=True)
    ids = [job.id for job in batch.ordered_jobs]
    everything = cloud.get_jobs()
    assert [job.id for job in everything.results[:5]] == ids[::-1]
    assert everything.total >= 5
    few = cloud.get_jobs(pagination_params=PaginationParams(limit=2))
    assert [job.id for job in few.results] == ids[:2:-1]
    mine = cloud.get_jobs(filters=JobFilters(batch_id=batch.id))
    assert (mine.total, {job.id for job in mine.results}) == (5, set(ids))
    two = cloud.get_jobs(filters=JobFilters(id=[ids[0], ids[3]]))
    assert {job.id for job in two.results} == {ids[0], ids[3]}
    failed = JobFilters(status=JobStatus.ERROR, project_id=batch.project_id, batch_id=batch.id)
    assert cloud.get_jobs(filters=failed).total == 0
    lately = JobFilters(
        status=JobStatus.DONE,
        start_date=began,
        end_date=datetime.now(UTC) + timedelta(seconds=5),
        user_id=[batch.user_id, "nobody"],
        batch_id=batch.id,
    )
    assert cloud.get_jobs(filters=lately).total == 5
    pages = [
        cloud.get_jobs(
            filters=JobFilters(batch_id=batch.id),
            pagination_params=PaginationParams(offset=offset, limit=2),
        ).results
        for offset in (0, 2, 4)
    ]
    assert [job.id for page in pages for job in page] == ids[::-1]


def test_a_selection_of_a_closed_batch_runs_again(cloud: Cloud) -> None:
    batch = submitted(cloud, jobs=6, wait=True)
    again = cloud.rebatch(batch.id)
    assert (again.parent_id, again.jobs_count) == (batch.id, 6)
    first = cloud.rebatch(batch.id, RebatchFilters(id=batch.ordered_jobs[0].id))
    assert [job.parent_id for job in first.ordered_jobs] == [batch.ordered_jobs[0].id]
    some = cloud.rebatch(batch.id, RebatchFilters(min_runs=5, max_runs=7))
    assert [job.runs for job in some.ordered_jobs] == [5, 6, 7]
    lately = RebatchFilters(
        status=JobStatus.DONE,
        start_date=datetime.now(UTC) - timedelta(minutes=5),
        end_date=datetime.now(UTC),
    )
    assert cloud.rebatch(batch.id, lately).jobs_count == 6


def test_a_job_is_tried_again_in_its_open_batch(cloud: Cloud) -> None:
    with pytest.warns(DeprecationWarning, match="complete"):
        batch = submitted(cloud, jobs=1, complete=False)
    batch.retry(batch.ordered_jobs[0])
    batch.retry(batch.ordered_jobs[0], wait=True)
    assert [job.variables for job in batch.ordered_jobs] == [{"omega_max": 1.0}] * 3
    assert {job.status for job in batch.ordered_jobs} == {"DONE"}
    batch.close()


def test_device_specs_make_devices(cloud: Cloud) -> None:
    specs = cloud.get_device_specs_dict()
    devices = {name: deserialize_device(spec) for name, spec in specs.items()}
    assert devices["EMU_FREE"].name == "MockDevice"
    assert devices["FRESNEL"].name == "FRESNEL"


def test_a_canceled_job_never_ran_and_the_rest_goes_on(cloud: Cloud) -> None:
    holder = submitted(cloud, jobs=1, open=True)
    waiting = submitted(cloud, jobs=3)
    canceled = cloud.cancel_job(waiting.ordered_jobs[1].id)
    assert (canceled.status, canceled.start_timestamp) == ("CANCELED", None)
    holder.close()
    waiting.close(wait=True)
    assert [job.status for job in waiting.ordered_jobs] == ["DONE", "CANCELED", "DONE"]
    assert cloud.get_batch(waiting.id).status == "DONE"


def test_a_canceled_batch_leaves_the_queue(cloud: Cloud) -> None:
    holder = submitted(cloud, jobs=1, open=True)
    waiting = submitted(cloud, jobs=2)
    assert waiting.status == "PENDING"
    waiting.cancel()
    assert waiting.status == "CANCELED"
    assert {job.status for job in cloud.get_batch(waiting.id).ordered_jobs} == {"CANCELED"}
    holder.close()


def test_an_open_batch_with_nothing_to_do_is_timed_out(cloud: Cloud, dev: Dev) -> None:
    batch = submitted(cloud, jobs=1, open=True)
    dev.until_over(batch.id, 90)
    batch.refresh()
    assert (batch.status, batch.open) == ("TIMED_OUT", False)
    assert [job.status for job in batch.ordered_jobs] == ["DONE"]
    assert batch.ordered_jobs[0].result
