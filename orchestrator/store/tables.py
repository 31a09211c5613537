"""The tables. Constraints and partial indexes carry the invariants.

Room is left for ledger, pipeline, controller and file: each will refer to batch or job by id.
"""

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from orchestrator.store import credits, learned, outbox, submitted, tenants
from orchestrator.store.columns import column, metadata, moment, words
from schemas.words import BatchStatus, JobStatus, OnLost

__all__ = ["credits", "learned", "metadata", "outbox", "submitted", "tenants"]

device_type = Table(
    "device_type",
    metadata,
    Column("name", Text, primary_key=True),
    Column("executor", Text, nullable=False),
    Column("on_lost", Text),
    Column("max_runs", Integer),
    Column("spec", Text),
    column(Boolean, "public", "false"),
    Column("max_qubits", Integer),
    column(BigInteger, "rate", "0"),
    column(Integer, "cores", "1"),
    Column("project_id", Uuid, ForeignKey("project.id")),
    CheckConstraint(words("on_lost", OnLost), name="on_lost"),
    CheckConstraint("rate >= 0 AND cores > 0", name="money"),
)

device = Table(
    "device",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("type", Text, ForeignKey("device_type.name"), nullable=False, index=True),
    column(Text, "service", "'active'"),
    Column("service_reason", Text),
    moment("service_since"),
    column(Boolean, "online", "false"),
    Column("session", Text),
    Column("journal", Text),
    Column("host", Text),
    Column("versions", JSON),
    moment("heard_at"),
    Column("seat", Uuid, ForeignKey("batch.id")),
    column(BigInteger, "fence", "0"),
    column(Boolean, "yielding", "false"),
    column(Integer, "window_size", "1"),
    column(Text, "transport", "'celery'"),
    CheckConstraint("transport IN ('celery', 'https')", name="transport"),
    CheckConstraint("service IN ('active', 'draining', 'paused', 'retired')", name="service"),
    CheckConstraint("fence >= 0 AND window_size > 0", name="counters"),
    Index("device_seat_idx", "seat", postgresql_where=text("seat IS NOT NULL")),
)

submission = Table(
    "submission",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("project_id", Uuid, ForeignKey("project.id"), nullable=False),
    Column("door", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("report", JSON),
    moment("created_at", required=True),
    UniqueConstraint("project_id", "key"),
)

_SEATABLE: Final = "status = 'PENDING'"

batch = Table(
    "batch",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seq", BigInteger, Identity(), nullable=False, unique=True),
    Column("project_id", Uuid, ForeignKey("project.id"), nullable=False),
    Column("user_id", Uuid, ForeignKey("user.id")),
    Column("submission_id", Uuid, ForeignKey("submission.id")),
    Column("parent_id", Uuid, ForeignKey("batch.id")),
    Column("name", Text),
    Column("device_type", Text, ForeignKey("device_type.name"), nullable=False),
    Column("device_name", Text),
    column(Text, "status", "'PENDING'"),
    Column("open", Boolean, nullable=False),
    column(Integer, "priority", "0"),
    Column("preemptible", Boolean, nullable=False),
    column(Integer, "lanes", "1"),
    Column("idle_timeout_s", Double, nullable=False),
    Column("max_duration_s", Double),
    column(ARRAY(Text), "tags", "'{}'"),
    Column("shared", JSON, nullable=False),
    Column("webhook", Text),
    Column("options", JSON(none_as_null=True)),
    Column("reason", Text),
    # Credits are held for its jobs.
    column(Boolean, "billed", "false"),
    Column("key_id", Uuid),
    # The W3C traceparent of its submit.
    Column("trace", Text),
    column(Integer, "jobs_total", "0"),
    column(Integer, "jobs_left", "0"),
    column(Integer, "jobs_done", "0"),
    column(Integer, "jobs_failed", "0"),
    column(Integer, "jobs_canceled", "0"),
    # `runs`: the values that its jobs have, ascending; `runs_upto`: how many have that or less.
    column(ARRAY(Integer), "runs", "'{}'"),
    column(ARRAY(Integer), "runs_upto", "'{}'"),
    moment("jobs_first_at"),
    moment("jobs_last_at"),
    moment("created_at", required=True),
    moment("updated_at", required=True),
    moment("admitted_at"),
    moment("started_at"),
    moment("ended_at"),
    moment("idle_deadline"),
    moment("overrun_deadline"),
    CheckConstraint(words("status", BatchStatus), name="status"),
    CheckConstraint(
        "jobs_left >= 0 AND jobs_total = jobs_left + jobs_done + jobs_failed + jobs_canceled",
        name="counts",
    ),
    CheckConstraint("status <> 'DONE' OR (jobs_left = 0 AND NOT open)", name="drained"),
    CheckConstraint(
        "(ended_at IS NOT NULL) = (status IN ('DONE', 'CANCELED', 'TIMED_OUT', 'ERROR'))",
        name="ended",
    ),
    CheckConstraint("lanes >= 1 AND idle_timeout_s > 0", name="bounds"),
    Index(
        "batch_queue_idx",
        "device_type",
        text("priority DESC"),
        "seq",
        postgresql_where=text(_SEATABLE),
    ),
    Index(
        "batch_lanes_idx",
        "device_type",
        text("priority DESC"),
        "seq",
        postgresql_where=text("lanes > 1 AND status IN ('ADMITTED', 'RUNNING')"),
    ),
    Index("batch_idle_idx", "idle_deadline", postgresql_where=text("idle_deadline IS NOT NULL")),
    Index(
        "batch_overrun_idx",
        "overrun_deadline",
        postgresql_where=text("overrun_deadline IS NOT NULL"),
    ),
    Index(
        "batch_waiting_idx", "status", postgresql_where=text("status IN ('PREEMPTED', 'PAUSED')")
    ),
    Index("batch_project_idx", "project_id", "seq"),
    Index("batch_status_idx", "project_id", "status", "seq"),
    Index("batch_user_idx", "project_id", "user_id", "seq"),
    Index("batch_type_idx", "project_id", "device_type", "seq"),
    Index("batch_open_idx", "project_id", "seq", postgresql_where=text("open")),
    Index("batch_created_idx", "project_id", "created_at"),
    Index("batch_name_idx", "project_id", "name", postgresql_where=text("name IS NOT NULL")),
    Index("batch_tags_idx", "tags", postgresql_using="gin"),
)

window = Table(
    "window",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("device_id", Integer, ForeignKey("device.id"), nullable=False, index=True),
    Column("batch_id", Uuid, ForeignKey("batch.id"), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("session", Text, nullable=False),
    Column("journal", Text, nullable=False),
    moment("staged_at", required=True),
    moment("sent_at", required=True),
    # What runs of it is to stop: its device was taken out of service at once.
    column(Boolean, "interrupted", "false"),
    # Of a controller's lane only: to which acquire it was offered, and until when that, or the
    # run that was begun, stays its own.
    Column("offer", Text),
    moment("lease_until"),
    Column("progress", Double),
)

job = Table(
    "job",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("batch_id", Uuid, ForeignKey("batch.id"), nullable=False),
    Column("project_id", Uuid, nullable=False),
    Column("ordinal", Integer, nullable=False),
    column(Text, "status", "'PENDING'"),
    Column("payload", JSON, nullable=False),
    Column("runs", Integer),
    column(Integer, "run", "0"),
    Column("window_id", BigInteger),
    Column("device_id", Integer),
    column(Boolean, "cancel_requested", "false"),
    Column("reason", Text),
    Column("parent_id", Uuid),
    moment("created_at", required=True),
    moment("started_at"),
    moment("ended_at"),
    UniqueConstraint("batch_id", "ordinal"),
    CheckConstraint(words("status", JobStatus), name="status"),
    CheckConstraint("ordinal >= 1 AND run >= 0", name="counters"),
    CheckConstraint(
        "(ended_at IS NOT NULL) = (status IN ('DONE', 'ERROR', 'CANCELED'))", name="ended"
    ),
    CheckConstraint("window_id IS NULL OR ended_at IS NULL", name="staged"),
    Index(
        "job_next_idx",
        "batch_id",
        "ordinal",
        postgresql_where=text("status = 'PENDING' AND window_id IS NULL"),
    ),
    Index("job_window_idx", "window_id", postgresql_where=text("window_id IS NOT NULL")),
    Index("job_project_idx", "project_id", "id"),
    Index(
        "job_without_result_idx",
        "project_id",
        "status",
        "id",
        postgresql_include=["batch_id", "runs"],
        postgresql_where=text("status IN ('ERROR', 'CANCELED')"),
    ),
    Index(
        "job_interrupt_idx",
        "id",
        postgresql_where=text("cancel_requested AND window_id IS NOT NULL"),
    ),
)

result = Table(
    "result",
    metadata,
    Column("job_id", Uuid, ForeignKey("job.id"), primary_key=True),
    Column("run", Integer, nullable=False),
    Column("value", JSON(none_as_null=True)),
    Column("ref", Text),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    moment("created_at", required=True),
    CheckConstraint("(value IS NULL) <> (ref IS NULL)", name="one_place"),
)

event = Table(
    "event",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column(
        "xid",
        BigInteger,
        nullable=False,
        server_default=text("pg_current_xact_id()::text::bigint"),
    ),
    Column("project_id", Uuid),
    Column("batch_id", Uuid),
    Column("job_id", Uuid),
    Column("device_id", Integer),
    Column("kind", Text, nullable=False),
    Column("status", Text),
    moment("at", required=True),
    Column("detail", JSON(none_as_null=True)),
    Index("event_project_idx", "project_id", "xid", "id"),
    Index("event_batch_idx", "batch_id", "xid", "id"),
    Index(
        "event_device_idx",
        "device_id",
        "at",
        postgresql_where=text("device_id IS NOT NULL AND job_id IS NULL"),
    ),
)

watch = Table(
    "watch",
    metadata,
    Column("id", Integer, primary_key=True),
    moment("beats_read_at", required=True),
    CheckConstraint("id = 1", name="one_row"),
)
