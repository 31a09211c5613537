"""Bodies that a PASQAL Cloud client sends. What it sends besides is not ours to refuse."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from schemas.job import LISTED_MOST
from schemas.words import JobStatus

Sequence = str | dict[str, Any]
Word = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class CreateJob(BaseModel):
    """`sequence` takes the place of the batch's own for this job."""

    runs: Annotated[int, Field(strict=True, ge=1)] | None = None
    variables: dict[str, Any] | None = None
    sequence: Sequence | None = None


class CreateBatch(BaseModel):
    """`device_type` null: the one that the sequence was written for. `open` unset: the opposite
    of `complete`, the older word for the same."""

    sequence_builder: Sequence | None = None
    jobs: Annotated[list[CreateJob], Field(max_length=LISTED_MOST)] = []
    project_id: UUID
    open: Annotated[bool, Field(strict=True)] | None = None
    complete: Annotated[bool, Field(strict=True)] | None = None
    device_type: Word | None = None
    emulator: Word | None = None
    configuration: dict[str, Any] | None = None
    backend_configuration: str | dict[str, Any] | None = None
    tags: Annotated[list[Word], Field(max_length=50)] | None = None
    webhook: Annotated[str, StringConstraints(max_length=2000)] | None = None


class CancelBatches(BaseModel):
    batch_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)]


class PulserConfig(BaseModel):
    """What a workload of type `pulser` runs."""

    sequence: Sequence
    runs: Annotated[int, Field(strict=True, ge=1)] | None = None
    variables: dict[str, Any] | None = None
    backend_configuration: str | dict[str, Any] | None = None


class CreateWorkload(BaseModel):
    workload_type: Word
    backend: Word
    config: dict[str, Any]
    project_id: UUID


def _in_utc(at: datetime) -> datetime:
    """The client sends a moment without its zone as it got it."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


Moment = Annotated[datetime, AfterValidator(_in_utc)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Direction = Literal["ASC", "DESC"]


class Query(BaseModel):
    """A misspelt filter must not silently be none: more would be canceled than was meant."""

    model_config = ConfigDict(extra="forbid")


class Page(Query):
    offset: Annotated[int, Field(ge=0, le=10**12)] = 0
    limit: Annotated[int, Field(ge=1, le=100)] = 100
    order_by_direction: Direction | None = None


class ChosenJobs(Query):
    """Which jobs of a batch are meant; every filter that is given must hold."""

    id: list[UUID] | None = None
    min_runs: Count | None = None
    max_runs: Count | None = None
    start_date: Moment | None = None
    end_date: Moment | None = None


class RebatchJobs(ChosenJobs):
    status: list[JobStatus] | None = None


class ListJobs(RebatchJobs, Page):
    project_id: list[UUID] | None = None
    user_id: list[str] | None = None
    batch_id: list[UUID] | None = None
    errors: bool | None = None
    order_by: Literal["creation_order", "created_at"] | None = None


class ListBatches(Page):
    id: list[UUID] | None = None
    project_id: list[UUID] | None = None
    user_id: list[str] | None = None
    device_type: list[str] | None = None
    status: (
        list[Literal["PENDING", "RUNNING", "DONE", "CANCELED", "TIMED_OUT", "ERROR", "PAUSED"]]
        | None
    ) = None
    open: bool | None = None
    queue_priority: list[Literal["LOW", "MEDIUM", "HIGH"]] | None = None
    tag: Word | None = None
    id__starts_with: Annotated[str, StringConstraints(max_length=36)] | None = None
    min_jobs: Count | None = None
    max_jobs: Count | None = None
    start_date: Moment | None = None
    end_date: Moment | None = None
    order_by: Literal["created_at"] | None = None
