"""Bodies of the native API that speak of batches."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.job import LISTED_MOST, Body, CancelIn, Job, JobFilter, JobIn
from schemas.words import BatchStatus

Tag = Annotated[str, Field(min_length=1, max_length=100)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
LONGEST_S: Final = 10**8
"""About three years: whatever the operator allows, every deadline is a date."""
Name = Annotated[str, Field(min_length=1, max_length=200)]


class BatchIn(Body):
    """A batch. `sequence` (a serialized Pulser sequence) and `payload` (anything that the
    device's executor understands) are shared by all its jobs."""

    device_type: Annotated[str, Field(min_length=1, max_length=100)]
    jobs: Annotated[list[JobIn], Field(max_length=LISTED_MOST)] = []
    open: bool = False
    name: Name | None = None
    sequence: str | dict[str, Any] | None = None
    payload: dict[str, Any] | None = None
    device: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    preemptible: bool | None = None
    lanes: Annotated[int, Field(ge=1, le=1024)] = 1
    idle_timeout_s: Seconds | None = None
    max_duration_s: Annotated[Seconds, Field(le=LONGEST_S)] | None = None
    tags: Annotated[list[Tag], Field(max_length=50)] = []
    webhook: Annotated[str, Field(min_length=1, max_length=2000)] | None = None


class TagsIn(Body):
    tags: Annotated[list[Tag], Field(max_length=50)]


class RebatchIn(Body):
    """A new batch from those jobs of this one that the filter names."""

    filter: JobFilter = JobFilter()
    open: bool = False
    name: Name | None = None


class CancelBatchesIn(CancelIn):
    ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)]


class Batch(BaseModel):
    """`queue_position` is 1 for the next to be admitted, null when not waiting."""

    id: UUID
    project_id: UUID
    name: str | None = None
    status: BatchStatus
    open: bool
    device_type: str
    device: str | None = None
    devices: list[str] = []
    priority: int
    preemptible: bool
    lanes: int
    idle_timeout_s: float
    max_duration_s: float | None = None
    tags: list[str] = []
    parent_id: UUID | None = None
    reason: str | None = None
    queue_position: int | None = None
    jobs_total: int
    jobs_left: int
    jobs_done: int
    jobs_failed: int
    jobs_canceled: int
    created_at: datetime
    updated_at: datetime
    admitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    idle_deadline: datetime | None = None


class BatchCreated(Batch):
    """The batch with its jobs, in the order in which they were given."""

    jobs: list[Job]


class JobsAdded(BaseModel):
    jobs: list[Job]


class BatchCancelVerdict(BaseModel):
    """`verdict`: canceled, ended (was already over) or not_found."""

    id: UUID
    verdict: str


class BatchCancelReport(BaseModel):
    verdicts: list[BatchCancelVerdict]
