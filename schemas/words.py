"""Words that are stored, sent and shown. No synonyms."""

from enum import StrEnum


class BatchStatus(StrEnum):
    PENDING = "PENDING"
    ADMITTED = "ADMITTED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    PREEMPTED = "PREEMPTED"
    DONE = "DONE"
    CANCELED = "CANCELED"
    TIMED_OUT = "TIMED_OUT"
    ERROR = "ERROR"


class JobStatus(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    ERROR = "ERROR"
    CANCELED = "CANCELED"


class DeviceStatus(StrEnum):
    """ONLINE: takes batches. DRAINING: finishes its batch, takes no other. PAUSED: out of
    service by an operator. OFFLINE: no worker has been heard for a lease."""

    ONLINE = "ONLINE"
    DRAINING = "DRAINING"
    PAUSED = "PAUSED"
    OFFLINE = "OFFLINE"


class DrainWhen(StrEnum):
    """When a device goes out of service. AFTER_JOB: its batch waits from the next job on.
    AFTER_BATCH: it ends the batch that it has. NOW: what runs is stopped, and runs again later."""

    AFTER_JOB = "after_job"
    AFTER_BATCH = "after_batch"
    NOW = "now"


class OnLost(StrEnum):
    """What becomes of a job whose device fell silent while it ran."""

    WAIT = "wait"
    RETRY = "retry"
    FAIL = "fail"


class Scope(StrEnum):
    READ = "read"
    SUBMIT = "submit"
    OPERATE = "operate"
    ADMIN = "admin"


class Role(StrEnum):
    """Of a user in a project; each allows what the one before it does, and more."""

    READER = "reader"
    MEMBER = "member"
    OPERATOR = "operator"
    OWNER = "owner"


class KeyKind(StrEnum):
    """WORKSPACE: does what its scopes say. RUNNER: registers controllers, and nothing else."""

    WORKSPACE = "workspace"
    RUNNER = "runner"
