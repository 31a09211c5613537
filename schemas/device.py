"""Bodies of the native API that speak of devices, limits and keys."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from schemas.job import Body
from schemas.words import DeviceStatus, DrainWhen, KeyKind, Scope


class PauseIn(Body):
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class DrainIn(PauseIn):
    when: DrainWhen = DrainWhen.AFTER_BATCH


class Device(BaseModel):
    """`queue_length` counts the batches that wait for this type of device. `occupied`: some batch
    has it; `batch_id` is that batch, where it is the caller's own."""

    name: str
    type: str
    status: DeviceStatus
    reason: str | None = None
    executor: str | None = None
    occupied: bool = False
    batch_id: UUID | None = None
    fence: int
    heard_at: datetime | None = None
    host: str | None = None
    queue_length: int = 0


class Limits(BaseModel):
    max_batch_size: int
    max_body_bytes: int
    max_sequence_bytes: int
    max_runs: int
    max_open_batches: int | None = None
    idle_timeout_s: float
    max_idle_timeout_s: float
    max_duration_s: float | None = None
    max_lanes: int
    result_inline_bytes: int


class KeyIn(Body):
    """A workspace key needs scopes; a runner key has none: it only registers controllers."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    scopes: Annotated[list[Scope], Field(max_length=50)] = []
    kind: KeyKind = KeyKind.WORKSPACE
    expires_at: AwareDatetime | None = None


class Key(BaseModel):
    """`prefix` is what tells it from others, as in `av_••••x8m2`. `last_used_at` may be a minute
    old. It is not good after `expires_at`, nor where its user's role allows less."""

    id: UUID
    name: str
    kind: KeyKind = KeyKind.WORKSPACE
    prefix: str
    scopes: list[Scope]
    user_id: UUID | None = None
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class KeyCreated(Key):
    """`key` is shown this once; only its hash is kept."""

    key: str


class Health(BaseModel):
    status: str
    checks: dict[str, str] = {}
