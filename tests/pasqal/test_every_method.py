"""Every public method of the client, on its own."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from pasqal_cloud.errors import (
    BatchCancellingError,
    BatchClosingError,
    BatchFetchingError,
    BatchSetTagsError,
    JobCancellingError,
    JobCreationError,
    JobFetchingError,
    ProjectNotFoundError,
    RebatchError,
    WorkloadCancellingError,
    WorkloadCreationError,
    WorkloadFetchingError,
)
from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient
from pasqal_cloud.utils.constants import BatchStatus, JobStatus, QueuePriority
from pasqal_cloud.utils.filters import (
    BatchFilters,
    CancelJobFilters,
    JobFilters,
    PaginationParams,
)
from pulser.backend import Results

from tests.pasqal.conftest import Cloud, Dev
from tests.pasqal.programs import distance, exact, fixed, parametrized, unique

PUBLIC = {
    *("add_jobs", "cancel_batch", "cancel_batches", "cancel_job", "cancel_jobs", "cancel_workload"),
    *("close_batch", "complete_batch", "create_batch", "create_workload", "get_all_projects"),
    *("get_batch", "get_batch_status", "get_batches", "get_device_specs_dict", "get_job"),
    *("get_job_status", "get_jobs", "get_workload", "rebatch", "set_batch_tags"),
    *("switch_to_project", "user_token", "wait_for_workload"),
}
JOBS = [{"runs": 10 + n, "variables": {"omega_max": 1.0 + n}} for n in range(3)]
NOWHERE = str(uuid4())


def submitted(cloud: Cloud, **options: Any) -> Any:
    given = {"device_type": "EMU_FREE", "tags": unique(), **options}
    return cloud.create_batch(parametrized().to_abstract_repr(), JOBS, **given)


@pytest.fixture
def held(cloud: Cloud) -> Iterator[Any]:
    """A batch that keeps the device busy, so that those after it wait."""
    batch = submitted(cloud, open=True)
    yield batch
    batch.close()


def test_no_method_of_the_client_is_forgotten_here() -> None:
    found = inspect.getmembers(PasqalCloudClient, inspect.isfunction)
    assert {name for name, _ in found if not name.startswith("_")} == PUBLIC


def test_who_one_is(cloud: Cloud, by_key: Cloud, dev: Dev) -> None:
    assert [p.id for p in cloud.get_all_projects()] == [dev.project_id]
    assert [p.id for p in by_key.get_all_projects()] == [dev.project_id]
    assert cloud.switch_to_project(dev.project_id) == dev.project_id
    with pytest.raises(ProjectNotFoundError):
        cloud.switch_to_project(NOWHERE)
    assert len((cloud.user_token() or "").split(".")) == 3
    assert by_key.user_token() == dev.api_key


def test_specs_are_public_too(cloud: Cloud, dev: Dev) -> None:
    nobody = PasqalCloudClient(endpoints=dev.endpoints)
    assert nobody.get_device_specs_dict() == cloud.get_device_specs_dict()


def test_batches_are_made_followed_and_closed(cloud: Cloud) -> None:
    batch = submitted(cloud, open=True)
    assert cloud.add_jobs(batch.id, JOBS[:1], wait=True).jobs_count == 4
    assert cloud.get_batch_status(batch.id) is BatchStatus.RUNNING
    with pytest.warns(DeprecationWarning, match="close_batch"):
        assert not cloud.complete_batch(batch.id).open
    assert cloud.close_batch(batch.id).status == "DONE"
    assert cloud.get_batch_status(batch.id) is BatchStatus.DONE
    assert cloud.set_batch_tags(batch.id, ["a", "b"]).tags == ["a", "b"]
    assert cloud.get_batch(batch.id).jobs_count_per_status["DONE"] == 4


def test_jobs_are_followed(cloud: Cloud) -> None:
    batch = submitted(cloud)
    last = batch.ordered_jobs[-1].id
    assert cloud.get_job(last, wait=True).status == "DONE"
    assert cloud.get_job_status(last) is JobStatus.DONE
    job = cloud.get_job(last)
    assert (job.batch_id, job.runs, job.errors, job.sequence) == (batch.id, 12, None, None)


def test_results_agree_with_each_other(cloud: Cloud) -> None:
    job = submitted(cloud, wait=True).ordered_jobs[0]
    whole = job.full_result
    assert whole is not None
    assert Counter(whole["raw"]) == whole["counter"] == job.result
    results = Results.from_abstract_repr(whole["serialised_results"] or "")
    assert results.final_bitstrings == whole["counter"]


def test_results_come_when_the_job_is_done(cloud: Cloud, held: Any) -> None:
    waiting = submitted(cloud)
    assert waiting.ordered_jobs[0].full_result is None
    assert waiting.ordered_jobs[0].result is None
    waiting.cancel()


def test_waiting_jobs_and_batches_are_canceled(cloud: Cloud, held: Any) -> None:
    waiting, other, third = (submitted(cloud) for _ in range(3))
    first, second, _ = waiting.ordered_jobs
    assert cloud.cancel_job(first.id).status == "CANCELED"
    assert second.cancel()["status"] == "CANCELED"
    gone = cloud.cancel_jobs(waiting.id, CancelJobFilters(id=[first.id], min_runs=1))
    assert (gone.jobs, list(gone.errors)) == ([], [UUID(first.id)])
    rest = cloud.cancel_jobs(waiting.id, CancelJobFilters(min_runs=12, max_runs=12))
    assert ([job.runs for job in rest.jobs], rest.errors) == ([12], {})
    assert cloud.get_batch(waiting.id).status == "DONE"
    many = cloud.cancel_batches([other.id, waiting.id, NOWHERE])
    assert [batch.id for batch in many.batches] == [other.id]
    assert set(many.errors) == {UUID(waiting.id), UUID(NOWHERE)}
    assert cloud.cancel_batch(third.id).status == "CANCELED"


def test_batches_are_listed_by_every_filter(cloud: Cloud) -> None:
    tag = unique()
    batch = submitted(cloud, tags=tag, open=True)
    closed = submitted(cloud, tags=tag)

    def found(**filters: Any) -> list[str]:
        page = cloud.get_batches(filters=BatchFilters(**{"tag": tag[0], **filters}))
        assert page.total == len(page.results)
        return [each.id for each in page.results]

    assert found() == [closed.id, batch.id]
    assert found(open=True) == [batch.id]
    assert found(id=[closed.id]) == [closed.id]
    assert found(device_type=["EMU_FREE", "else"]) == [closed.id, batch.id]
    assert found(device_type="FRESNEL") == []
    assert found(status=[BatchStatus.PENDING]) == [closed.id]
    assert found(queue_priority=QueuePriority.MEDIUM) == [closed.id, batch.id]
    assert found(queue_priority=[QueuePriority.HIGH, QueuePriority.LOW]) == []
    assert found(user_id=batch.user_id, project_id=batch.project_id) == [closed.id, batch.id]
    assert found(start_date=closed.created_at) == [closed.id]
    assert found(end_date=batch.created_at) == [batch.id]
    page = cloud.get_batches(
        filters=BatchFilters(tag=tag[0]), pagination_params=PaginationParams(offset=1, limit=1)
    )
    assert ([each.id for each in page.results], page.total) == ([batch.id], 2)
    closed.cancel()
    batch.close()


def test_failed_jobs_are_found_by_their_errors(cloud: Cloud) -> None:
    batch = submitted(cloud, wait=True)

    def total(errors: bool) -> Any:
        return cloud.get_jobs(filters=JobFilters(batch_id=batch.id, errors=errors)).total

    assert (total(True), total(False)) == (0, 3)


def test_a_workload_is_made_followed_and_canceled(cloud: Cloud, held: Any) -> None:
    config = {"sequence": fixed().to_abstract_repr(), "runs": 500, "case": unique()}
    made = cloud.create_workload("pulser", "EMU_FREE", config)
    assert (made.status, made.workload_type, made.config) == ("PENDING", "pulser", config)
    assert cloud.cancel_workload(made.id).status == "CANCELED"
    with pytest.raises(WorkloadCancellingError):
        made.cancel()
    held.close()
    done = cloud.create_workload("pulser", "EMU_FREE", config | {"case": unique()}, wait=True)
    assert done.status == "DONE"
    assert distance((done.result or {})["counter"], exact(fixed())) < 0.1
    assert cloud.get_workload(done.id).result == done.result


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c: c.get_batch(NOWHERE), BatchFetchingError),
        (lambda c: c.get_batch_status(NOWHERE), BatchFetchingError),
        (lambda c: c.get_job(NOWHERE), JobFetchingError),
        (lambda c: c.get_job_status(NOWHERE), JobFetchingError),
        (lambda c: c.cancel_batch(NOWHERE), BatchCancellingError),
        (lambda c: c.cancel_job(NOWHERE), JobCancellingError),
        (lambda c: c.cancel_jobs(NOWHERE, CancelJobFilters()), JobCancellingError),
        (lambda c: c.close_batch(NOWHERE), BatchClosingError),
        (lambda c: c.add_jobs(NOWHERE, JOBS), JobCreationError),
        (lambda c: c.rebatch(NOWHERE), RebatchError),
        (lambda c: c.set_batch_tags(NOWHERE, []), BatchSetTagsError),
        (lambda c: c.get_workload(NOWHERE), WorkloadFetchingError),
        (lambda c: c.cancel_workload(NOWHERE), WorkloadCancellingError),
        (lambda c: c.create_workload("chemistry", "EMU_FREE", {}), WorkloadCreationError),
    ],
)
def test_what_is_not_there_raises_the_clients_own_error(
    cloud: Cloud,
    call: Callable[[Cloud], object],
    error: type[BaseException],
) -> None:
    with pytest.raises(error):
        call(cloud)
