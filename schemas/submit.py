"""Bodies of the submit-batch door, under /api/v1.

The maker's wire format is not public; this is ours, with the field names of its description.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.credit import ControllerUsage, DayUsage, KeyUsage
from schemas.job import Body

State = Literal["pending", "running", "done", "failed", "cancelled"]
Verdict = Literal["submitted", "cache_hit", "failed"]


class EntryIn(Body):
    """`compute_target`: null or `managed`, `local`, or the name of one's own controller."""

    job: dict[str, Any]
    compute_target: Annotated[str, Field(max_length=100)] | None = None
    use_cache: bool = True


class SubmitBatchIn(Body):
    """Each of `jobs` is an `EntryIn`; one that is not fails alone."""

    jobs: list[Any]


class EntryOut(BaseModel):
    """`error` is always there, so that nobody stumbles over its absence. `warning`: accepted,
    but something should be known, such as that its controller is offline."""

    job_id: UUID | None
    state: State | None
    status: Verdict
    error: str | None = None
    warning: str | None = None


class SubmitBatchOut(BaseModel):
    total: int
    submitted: int
    failed: int
    cache_hits: int
    jobs: list[EntryOut]


class JobOut(BaseModel):
    """`progress`: from 0 to 1, what it last said while it runs on a controller. `cached_from`: the
    job whose result it has. `error`: why it failed."""

    job_id: UUID
    name: str | None
    state: State
    job_type: str
    compute_target: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    progress: float | None = None
    billed_core_seconds: float
    cached_from: UUID | None
    error: str | None
    molecule_preview: str | None = None


class JobsPage(BaseModel):
    jobs: list[JobOut]
    has_more: bool
    next_cursor: str | None


class Withdrawn(BaseModel):
    id: UUID
    withdrawn: bool


class RenameIn(Body):
    name: str


class EstimateOut(BaseModel):
    """Micro-credits: what would be held, what is there, what is missing."""

    required: int
    available: int
    shortfall: int
    unit: Literal["micro-credits"] = "micro-credits"
    billable_jobs: int
    assumed_runtime_s: int


class TargetOut(BaseModel):
    """Free: not taken by pending or running jobs. Null where there is no bound."""

    name: str
    kind: Literal["managed", "controller"]
    online: bool
    state: Literal["online", "draining", "paused", "offline"]
    max_cores: int | None
    max_memory_mb: int | None
    free_cores: int | None
    free_memory_mb: int | None
    running_jobs: int
    pending_jobs: int
    slots: dict[str, int] = {}
    reason: str | None = None
    last_seen_at: datetime | None = None


class CapacityIn(Body):
    """As a `SubmitBatchIn`; `compute_target` is for all of them."""

    jobs: list[Any]
    compute_target: Annotated[str, Field(max_length=100)] | None = None


class CapacityOut(BaseModel):
    """`fit`: how many of the jobs given would be accepted now."""

    controller: str
    fit: int
    jobs: list[EntryOut]


class LimitsOut(BaseModel):
    max_batch_size: int
    max_body_bytes: int
    batches_per_minute: int
    max_atoms: int
    idempotency_key_ttl_s: int
    managed_compute: bool


class UsageOut(BaseModel):
    """`failure_pressure`: failed and cancelled together. `captured`: micro-credits."""

    window: Literal["24h", "7d", "30d", "all"]
    jobs_submitted: int
    core_hours_billed: float
    controller_jobs: int
    failed: int
    cancelled: int
    failure_pressure: int
    cache_hits: int
    captured: int
    daily: list[DayUsage]
    keys: list[KeyUsage]
    controllers: list[ControllerUsage]
