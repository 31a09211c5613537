"""Money and use, as the API tells it. Amounts are micro-credits: a million is one credit."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel


class Balance(BaseModel):
    """`held`: for jobs that are not over. `spent`: ever."""

    available: int
    held: int
    spent: int
    unit: Literal["micro-credits"] = "micro-credits"


class TransferOut(BaseModel):
    """One move between two of the project's accounts; a grant comes from outside. A batch's jobs
    are held for together, and captured or released each by itself."""

    id: int
    kind: Literal["grant", "hold", "extend", "capture", "release"]
    source: Literal["funding", "available", "held"]
    target: Literal["available", "held", "revenue"]
    amount: int
    batch_id: UUID | None
    job_id: UUID | None
    reason: str | None
    created_at: datetime


class DayUsage(BaseModel):
    """A day of UTC: jobs by when they were submitted, core hours by when they were billed."""

    day: str
    jobs_submitted: int
    failed: int
    cancelled: int
    core_hours_billed: float
    captured: int


class KeyUsage(BaseModel):
    """`key_id` is null for what no key can be named for: it came with a password, or its key was
    deleted."""

    key_id: UUID | None
    name: str
    prefix: str | None
    jobs_submitted: int
    failed: int
    cancelled: int
    core_hours_billed: float
    captured: int


class ControllerUsage(BaseModel):
    """`jobs_submitted` in the window; the rest is how it stands now. `load`: the share of its
    cores that is taken by running jobs."""

    name: str
    jobs_submitted: int
    running_jobs: int
    pending_jobs: int
    cores: int
    busy_cores: int
    load: float
