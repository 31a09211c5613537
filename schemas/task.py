"""Messages of the device plane: what travels between the orchestrator and a worker.

Times are seconds since the epoch on the clock of whoever measured them.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

CONTROL_QUEUE: Final = "control"
EXECUTE: Final = "holdfast.execute"
SETTLE: Final = "holdfast.settle"
BEGAN: Final = "holdfast.began"
HELLO: Final = "holdfast.hello"
SWEEP: Final = "holdfast.sweep"
PROJECT: Final = "holdfast-project"
"""The header of EXECUTE that names the project, for the log of the worker."""

BEAT_TTL_MS: Final = 4000
"""How long a heartbeat can be read. Its worker writes it once a second."""
INLINE_LIMIT: Final = 256 * 1024
"""Bytes of JSON above which a result travels by reference through the object store."""


def device_queue(device: str) -> str:
    return f"device.{device}"


def window_task(window: int) -> str:
    """The id of the Celery task that carries a window, by which Flower finds it. The same each
    time that the window is sent: one that comes again is the same to whoever looks at it."""
    return f"window-{window}"


def permit_key(job: str, run: int) -> str:
    return f"permit:{job}:{run}"


def interrupt_key(job: str, run: int) -> str:
    return f"interrupt:{job}:{run}"


def session_key(device: str) -> str:
    """The lock that only the active worker of a device holds; its value is the session."""
    return f"session:{device}"


def beat_key(device: str) -> str:
    """Holds a `Beat` as JSON, written by the active worker and gone soon after it is."""
    return f"beat:{device}"


def met_key(device: str) -> str:
    """Holds the session that was last welcomed; a worker says hello until that is its own."""
    return f"met:{device}"


def since_key(run_id: str) -> str:
    """Since when (seconds since the epoch) this run of Redis has forgotten nothing."""
    return f"holdfast:since:{run_id}"


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JobTask(Message):
    """One run of one job, as the device gets it."""

    job: str
    run: int
    ordinal: int
    payload: dict[str, Any]
    wall_s: float | None = None


class Window(Message):
    """The jobs handed to a device in one message, in order.

    `shared` is the batch's own payload (a sequence, for example). Every window with an id
    below `settled_below` has been settled: the journal may forget its outcomes. `after` is the
    window that was on its way when this one was staged: unless it came just before, and every
    job of it that could run did, a worker skips this one. No hiccup changes the order of jobs.
    """

    window: int
    device: str
    session: str
    fence: int
    batch: str
    shared: dict[str, Any]
    jobs: list[JobTask]
    settled_below: int
    after: int | None = None


class Result(Message):
    """What a job gave: JSON inline, or a reference into the object store.

    `size` and `sha256` are of the JSON text in UTF-8, whichever way it travels.
    """

    value: Any = None
    ref: str | None = None
    size: int
    sha256: str


class _Of(Message):
    job: str
    run: int


class Done(_Of):
    kind: Literal["done"] = "done"
    began_at: float
    ended_at: float
    result: Result


class Failed(_Of):
    kind: Literal["failed"] = "failed"
    began_at: float
    ended_at: float
    reason: str


class Canceled(_Of):
    """Interrupted while it ran."""

    kind: Literal["canceled"] = "canceled"
    began_at: float
    ended_at: float


class Lost(_Of):
    """The journal says that it began; nobody knows how it ended."""

    kind: Literal["lost"] = "lost"
    began_at: float | None = None


class Skipped(_Of):
    """Not begun here. `gone`: because its permit was not there, so that this run never will be;
    otherwise because nothing could begin just then, and its permit was not touched."""

    kind: Literal["skipped"] = "skipped"
    gone: bool = False


Outcome = Annotated[Done | Failed | Canceled | Lost | Skipped, Field(discriminator="kind")]
OUTCOME: Final[TypeAdapter[Done | Failed | Canceled | Lost | Skipped]] = TypeAdapter(Outcome)


class Settle(Message):
    """The end of one window: an outcome for each of its jobs, in order."""

    window: int
    device: str
    session: str
    journal: str
    outcomes: list[Outcome]


class Began(Message):
    """A job has been running long enough to be shown as RUNNING."""

    device: str
    session: str
    window: int
    job: str
    run: int
    began_at: float


class Hello(Message):
    """A worker takes its device's session, and re-sends what was never acknowledged.

    `journal` names the journal on disk; it outlives restarts, the session does not.
    """

    device: str
    type: str
    session: str
    journal: str
    executor: str
    executors: list[str] = []
    versions: dict[str, str] = {}
    host: str = ""
    outcomes: list[Outcome] = []


class Beat(Message):
    """The heartbeat: which window the worker holds, and for how long it has held none."""

    type: str
    session: str
    journal: str
    window: int | None
    idle_s: float
