"""What the server tells that cannot be acted on: plain, frozen values."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from holdfast.errors import JobFailed
from holdfast.reading import plain

BATCH_OVER: Final = frozenset({"DONE", "CANCELED", "TIMED_OUT", "ERROR"})
JOB_OVER: Final = frozenset({"DONE", "ERROR", "CANCELED"})


class Value:
    """A record that can show itself as JSON."""

    def to_dict(self) -> dict[str, Any]:
        return plain(self)


@dataclass(frozen=True, kw_only=True)
class JobResult(Value):
    """The end of one job. `value` is None unless `status` is DONE; `reason` says why."""

    job_id: str
    ordinal: int
    status: str
    value: Any = None
    reason: str | None = None

    @property
    def ok(self) -> bool:
        return self.status == "DONE"

    def unwrap(self) -> Any:
        """The value, or JobFailed."""
        if not self.ok:
            raise JobFailed(self.job_id, self.status, self.reason)
        return self.value


@dataclass(frozen=True, kw_only=True)
class CancelVerdict(Value):
    """Jobs: `canceled` (it will never begin), `interrupting` (it runs, and is being stopped),
    `running` (it runs and is left to end), `ended` (it was already over), `not_found`.
    Batches: `canceled`, `ended`, `not_found`."""

    id: str
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Event(Value):
    """One change of state. `id` is a cursor: give it as `after` to go on from here."""

    id: str
    kind: str
    at: datetime
    batch_id: str | None = None
    job_id: str | None = None
    device: str | None = None
    status: str | None = None
    detail: dict[str, Any] | None = None

    def ends_batch(self) -> bool:
        return self.job_id is None and self.status in BATCH_OVER

    def ends_job(self) -> bool:
        return self.job_id is not None and self.status in JOB_OVER


@dataclass(frozen=True, kw_only=True)
class Device(Value):
    """`status` is ONLINE, DRAINING, PAUSED or OFFLINE. `queue_length` counts the batches that
    wait for this type of device. `occupied`: some batch has it; `batch_id` is that batch, where it
    is of your own project."""

    name: str
    type: str
    status: str
    reason: str | None = None
    executor: str | None = None
    occupied: bool = False
    batch_id: str | None = None
    fence: int = 0
    heard_at: datetime | None = None
    host: str | None = None
    queue_length: int = 0


@dataclass(frozen=True, kw_only=True)
class Limits(Value):
    """Bytes and seconds; None means no bound."""

    max_batch_size: int
    max_body_bytes: int
    max_sequence_bytes: int
    max_runs: int
    idle_timeout_s: float
    max_idle_timeout_s: float
    max_lanes: int
    result_inline_bytes: int
    max_open_batches: int | None = None
    max_duration_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Key(Value):
    """An API key as it is listed: never the secret, only what tells it from others. `kind`:
    workspace, or runner. `last_used_at` may be a minute old."""

    id: str
    name: str
    kind: str = "workspace"
    prefix: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class NewKey(Key):
    """`key` is the secret. The server keeps only its hash, so this is the one time to see it."""

    key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Delivery(Value):
    """One message to a webhook. `status` is PENDING, DELIVERED, GIVEN_UP, or HELD while its
    endpoint is disabled. Each of `attempts` has number, at, ended_at, http_status and error."""

    webhook_id: str
    type: str
    at: datetime
    url: str
    status: str
    attempts: list[dict[str, Any]]
    job_id: str | None = None
    next_attempt_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint(Value):
    """A URL of the project's webhooks; it is disabled if `disabled_reason` says why."""

    url: str
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class SigningSecret(Value):
    """What messages are signed with; those in `previous` still count for up to a day."""

    secret: str = field(repr=False)
    previous: list[str] = field(repr=False, default_factory=list)
