"""Bodies of the native API that speak of jobs."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.words import JobStatus

Variables = dict[str, Any]
LISTED_MOST: Final = 100_000
"""Entries of a list that are looked at. The operator's own limit is far below; but it is asked
after the list was built, and each entry of it that is wrong costs more than a kilobyte."""


class Body(BaseModel):
    """A request: unknown fields are refused, so that a typo is never silently ignored."""

    model_config = ConfigDict(extra="forbid")


class JobIn(Body):
    """One job. Which fields a device needs depends on its executor; `pulser` wants `runs`,
    `variables` when the sequence is parametrized, and takes a `sequence` instead of the batch's."""

    runs: Annotated[int, Field(strict=True, ge=1)] | None = None
    variables: Variables | None = None
    sequence: str | dict[str, Any] | None = None
    payload: dict[str, Any] | None = None


class JobsIn(Body):
    jobs: Annotated[list[JobIn], Field(min_length=1, max_length=LISTED_MOST)]


class JobFilter(Body):
    """Which jobs of a batch are meant; an empty filter means all of them."""

    ids: Annotated[list[UUID], Field(max_length=LISTED_MOST)] | None = None
    statuses: Annotated[list[JobStatus], Field(max_length=50)] | None = None
    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None
    min_runs: int | None = None
    max_runs: int | None = None


class CancelIn(Body):
    """`interrupt` also stops what is running now; without it a running job is left to end."""

    interrupt: bool = True


class CancelJobsIn(CancelIn):
    filter: JobFilter = JobFilter()


class Job(BaseModel):
    id: UUID
    batch_id: UUID
    ordinal: int
    status: JobStatus
    run: int
    runs: int | None = None
    variables: Variables | None = None
    payload: dict[str, Any] | None = None
    reason: str | None = None
    device: str | None = None
    parent_id: UUID | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None


class CancelVerdict(BaseModel):
    """`canceled`: it will never begin. `interrupting`: it runs, and is being stopped.
    `running`: it runs and is left to end. `ended`: it was already over. `not_found`."""

    id: UUID
    verdict: Literal["canceled", "interrupting", "running", "ended", "not_found"]


class CancelReport(BaseModel):
    verdicts: list[CancelVerdict]
