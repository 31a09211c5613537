"""When a batch is expected to begin and to end, how good such figures were, and why it waits."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from schemas.words import BatchStatus


class ReasonCode(StrEnum):
    QUEUED = "queued"
    PINNED = "pinned"
    LANES = "lanes"
    TWIN = "twin"
    NO_DEVICE = "no_device"
    DEVICE_BUSY = "device_busy"
    HELD_BY_OPEN_BATCH = "held_by_open_batch"
    DEVICE_PAUSED = "device_paused"
    DEVICE_DRAINING = "device_draining"
    DEVICE_OFFLINE = "device_offline"
    NOT_LEARNED = "not_learned"
    PAUSED = "paused"
    PREEMPTED = "preempted"
    SEATED = "seated"
    ENDED = "ended"


class Quantiles(BaseModel):
    """With a chance of one half it is no later than `p50`, with nine in ten no later than `p90`."""

    p50: datetime
    p90: datetime


class HitRate(BaseModel):
    """Of the last `of` batches of the device type that waited and began (500 at most): which share
    began no later than the `p50`, and the `p90`, that was foretold when they came."""

    p50: float
    p90: float
    of: int


class Reason(BaseModel):
    """`code`, with the facts of that code beside it: they are listed in docs/estimates.md."""

    model_config = ConfigDict(extra="allow")

    code: ReasonCode


class Why(BaseModel):
    sentence: str
    reasons: list[Reason]


class Estimate(BaseModel):
    """`start` and `end` are null where nothing can be said. `samples`: on how many durations the
    figures rest. Of a batch that began, `start` is when it did; of one that is over, so is `end`.
    """

    batch_id: UUID
    status: BatchStatus
    at: datetime
    start: Quantiles | None = None
    end: Quantiles | None = None
    samples: int
    hit_rate: HitRate | None = None
    why: Why
