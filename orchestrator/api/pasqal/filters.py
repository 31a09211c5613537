"""The client's filters, as the engine's."""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from orchestrator.store.listings_pasqal_batches import BatchesWanted
from orchestrator.store.listings_pasqal_jobs import JobsWanted
from schemas.job import JobFilter
from schemas.pasqal import ChosenJobs, ListBatches, ListJobs, RebatchJobs


def chosen(filters: ChosenJobs) -> JobFilter:
    return JobFilter(
        ids=filters.id,
        statuses=filters.status if isinstance(filters, RebatchJobs) else None,
        created_after=filters.start_date,
        created_before=filters.end_date,
        min_runs=filters.min_runs,
        max_runs=filters.max_runs,
    )


def wanted_jobs(given: ListJobs) -> JobsWanted:
    return JobsWanted(
        ids=given.id,
        project_ids=given.project_id,
        user_ids=_ids(given.user_id),
        batch_ids=given.batch_id,
        statuses=given.status,
        min_runs=given.min_runs,
        max_runs=given.max_runs,
        errors=given.errors,
        start_date=given.start_date,
        end_date=given.end_date,
    )


def wanted_batches(given: ListBatches) -> BatchesWanted:
    return BatchesWanted(
        ids=given.id,
        project_ids=given.project_id,
        user_ids=_ids(given.user_id),
        device_types=given.device_type,
        statuses=given.status,
        open=given.open,
        queue_priorities=given.queue_priority,
        tag=given.tag,
        id_starts_with=given.id__starts_with,
        min_jobs=given.min_jobs,
        max_jobs=given.max_jobs,
        start_date=given.start_date,
        end_date=given.end_date,
    )


def _ids(texts: Sequence[str] | None) -> list[UUID] | None:
    """The client lets any text be a user's id; what cannot be one is nobody's."""
    if texts is None:
        return None
    found: list[UUID] = []
    for each in texts:
        with suppress(ValueError):
            found.append(UUID(each))
    return found
