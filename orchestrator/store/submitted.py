"""Tables of the submit-batch door: entries, what twins share, and users' own machines."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from orchestrator.store.columns import column, metadata, moment

# One for each content key that is being computed, or was: `leader` is the job that runs.
computation = Table(
    "computation",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("project_id", Uuid, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("leader", Uuid, nullable=False),
    column(Boolean, "withdrawn", "false"),
    moment("created_at", required=True),
    Index(
        "computation_key_idx",
        "project_id",
        "key",
        unique=True,
        postgresql_where=text("NOT withdrawn"),
    ),
    Index("computation_leader_idx", "leader"),
)

# What this door knows of a job beside the job itself. `follows`: it waits for its computation's
# leader and has nothing to run, so that its batch is of a device type that no device has.
# `left_at`: its owner canceled it while others still wait for it.
entry = Table(
    "entry",
    metadata,
    Column("job_id", Uuid, ForeignKey("job.id"), primary_key=True),
    Column("project_id", Uuid, nullable=False),
    Column("name", Text),
    Column("job_type", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("cores", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("computation_id", Uuid),
    column(Boolean, "follows", "false"),
    Column("cached_from", Uuid),
    # What its controller says that it took: {"core_seconds", "wall_s"}.
    Column("usage", JSON(none_as_null=True)),
    moment("left_at"),
    moment("deleted_at"),
    CheckConstraint("NOT follows OR computation_id IS NOT NULL", name="follows"),
    Index("entry_project_idx", "project_id", "job_id"),
    Index("entry_follows_idx", "computation_id", postgresql_where=text("follows")),
)

# A user's own machine. Its device type is its own; each of its lanes is a device of that type.
controller = Table(
    "controller",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("project_id", Uuid, ForeignKey("project.id"), nullable=False),
    Column("user_id", Uuid, ForeignKey("user.id")),
    Column("name", Text, nullable=False),
    Column("device_type", Text, ForeignKey("device_type.name"), nullable=False, unique=True),
    column(BigInteger, "session", "0"),
    Column("token_hash", LargeBinary, unique=True),
    Column("version", Text, nullable=False),
    Column("hostname", Text, nullable=False),
    Column("cores", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("lanes", Integer, nullable=False),
    Column("slots", JSON, nullable=False),
    Column("backends", JSON, nullable=False),
    Column("labels", JSON, nullable=False),
    column(Text, "state", "'online'"),
    Column("reason", Text),
    moment("registered_at", required=True),
    moment("heard_at"),
    moment("left_at"),
    moment("removed_at"),
    CheckConstraint("state IN ('online', 'draining', 'paused')", name="state"),
    CheckConstraint("cores > 0 AND memory_mb > 0 AND lanes > 0", name="size"),
    Index(
        "controller_name_idx",
        "project_id",
        "name",
        unique=True,
        postgresql_where=text("removed_at IS NULL"),
    ),
)

# What a run left behind on its way: handed to whoever runs the job next.
checkpoint = Table(
    "checkpoint",
    metadata,
    Column("job_id", Uuid, ForeignKey("job.id"), primary_key=True),
    Column("run", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("uri", Text),
    Column("blob", LargeBinary),
    Column("sha256", Text, nullable=False),
    moment("created_at", required=True),
    CheckConstraint("(uri IS NULL) <> (blob IS NULL)", name="one_place"),
)

log_chunk = Table(
    "log_chunk",
    metadata,
    Column("job_id", Uuid, ForeignKey("job.id"), primary_key=True),
    Column("run", Integer, primary_key=True),
    Column("seq", Integer, primary_key=True),
    # Bytes; `body` is deflated, `size` is not.
    Column("start", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    moment("created_at", required=True),
    CheckConstraint("seq >= 0 AND start >= 0", name="counters"),
)
