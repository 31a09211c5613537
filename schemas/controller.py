"""What a controller on a user's own machine and the server say to each other, over HTTPS.

Seconds. A lane is one of the jobs that a controller runs at the same time; the server sees each
as a device of its own. `epoch` is the job's run: an answer with another one is late, and counts
for nothing. Only the server's clock decides; a controller counts from the answers it gets.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from schemas.job import Body

PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"
RESERVED: Final = ("managed", "local")
MAX_LANES: Final = 64
LOG_CHUNK_BYTES: Final = 64 * 1024
LOG_BYTES: Final = 16 * 1024 * 1024
"""Of one run; what comes after is refused, and never fails the job."""
LOG_CHUNKS: Final = 32_768
"""Of one run: a chunk costs the server more than its bytes."""
CHECKPOINT_BYTES: Final = 1024 * 1024
START_WITHIN_S: Final = 30
POLL_S: Final = 25
"""The longest that an acquire waits, whatever it asks for."""
INFRASTRUCTURE_MOST: Final = 2
"""How often a job is tried again after its controller said that it could not."""
GRACE_S: Final = 30
"""How long after `wall_s` the server still waits for the end of a job."""
MIN_VERSION: Final = "0.1"
LOST_MOST: Final = 3
"""A job that was lost on so many runs is at fault itself, as far as anybody can tell."""

Text = Annotated[str, Field(min_length=1, max_length=200)]
Slots = Annotated[
    dict[Annotated[str, Field(max_length=100)], Annotated[int, Field(ge=0, le=100_000)]],
    Field(max_length=32),
]
State = Literal["online", "draining", "paused"]
OUTCOME = Literal["done", "failed", "cancelled"]


class Backend(Body):
    name: Text
    version: Text
    job_types: Annotated[list[Text], Field(max_length=32)]


class RegisterIn(Body):
    """`memory_mb` and `cores` are what all lanes share; `slots` bounds pending and running jobs
    by type."""

    name: Annotated[str, Field(pattern=PATTERN)]
    version: Text
    hostname: Text
    cores: Annotated[int, Field(ge=1, le=4096)]
    memory_mb: Annotated[int, Field(ge=64, le=64 * 2**20)]
    lanes: Annotated[int, Field(ge=1, le=MAX_LANES)] = 1
    slots: Slots = {}
    backends: Annotated[list[Backend], Field(min_length=1, max_length=16)]
    labels: Annotated[dict[Text, Text], Field(max_length=32)] = {}


class Registered(BaseModel):
    """`token` is shown this once, and dies with the next registration of the name."""

    controller_id: str
    session: int
    token: str
    lease_s: float
    heartbeat_s: float
    poll_s: float
    log_chunk_bytes: int
    min_version: str


class AcquireIn(Body):
    """`free`: how many jobs of each type could begin now; the same `request_id` gets the same
    leases again."""

    request_id: Annotated[str, Field(min_length=1, max_length=100)]
    free: Slots = {}
    free_cores: Annotated[int, Field(ge=0)] | None = None
    free_memory_mb: Annotated[int, Field(ge=0)] | None = None
    wait_s: Annotated[float, Field(ge=0, le=50)] = 0


class Checkpoint(BaseModel):
    """`blob` is base64."""

    seq: int
    sha256: str
    uri: str | None = None
    blob: str | None = None


class Lease(BaseModel):
    """`lane` counts from 0; the jobs of a lane are to be run in the order given, one at a time.
    `wall_s` counts from the start. Of each lane only the first is given: the next one comes once
    that one is over. Not started within `lease_s`, it is given again to whoever asks."""

    assignment_id: str
    job_id: str
    lane: int
    job_type: str
    payload: dict[str, Any]
    shared: dict[str, Any] = {}
    epoch: int
    lease_s: float
    wall_s: float
    checkpoint: Checkpoint | None = None


class Acquired(BaseModel):
    leases: list[Lease]
    state: State


class WhyIn(Body):
    reason: Annotated[str, Field(min_length=1, max_length=500)] | None = None


class StartIn(Body):
    epoch: int


class Started(BaseModel):
    """`lease_s` until the next heartbeat must have come; the job ends by `deadline_at`."""

    assignment_id: str
    epoch: int
    lease_s: float
    wall_s: float
    deadline_at: datetime


class RunningItem(Body):
    assignment_id: Text
    epoch: int
    progress: Annotated[float, Field(ge=0, le=1)] | None = None
    cpu: Annotated[float, Field(ge=0)] | None = None
    memory_mb: Annotated[float, Field(ge=0)] | None = None


class HeartbeatIn(Body):
    running: Annotated[list[RunningItem], Field(max_length=MAX_LANES)] = []


class Told(BaseModel):
    """`cancel`: stop it and complete it as cancelled. `lost`: it is another's now: kill it and say
    nothing. `completed`: its end is known already."""

    assignment_id: str
    verdict: Literal["ok", "cancel", "lost", "completed"]


class Heartbeat(BaseModel):
    verdicts: list[Told]
    state: State
    lease_s: float
    heartbeat_s: float
    poll_s: float


class Usage(Body):
    core_seconds: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)] = 0
    wall_s: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 0


class ErrorIn(Body):
    """`class`: `user` (the job is at fault) or `infrastructure` (it may be tried again)."""

    kind: Annotated[Literal["user", "infrastructure"], Field(alias="class")] = "user"
    message: Annotated[str, Field(max_length=10_000)]


class CompleteIn(Body):
    epoch: int
    outcome: OUTCOME
    result: Any = None
    usage: Usage = Usage()
    error: ErrorIn | None = None
    log_seq: Annotated[int, Field(ge=0)] | None = None


class Completed(BaseModel):
    """`replayed`: it was known before."""

    assignment_id: str
    replayed: bool


class LogTaken(BaseModel):
    next_seq: int


class LogPage(BaseModel):
    """What the run wrote, from chunk `seq` to before `next_seq`. `more`: ask again from there."""

    run: int
    seq: int
    next_seq: int
    more: bool
    text: str


class CheckpointIn(Body):
    epoch: int
    seq: Annotated[int, Field(ge=0, le=2**31 - 1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    uri: Annotated[str, Field(max_length=2000)] | None = None
    blob: Annotated[str, Field(max_length=2 * CHECKPOINT_BYTES)] | None = None
