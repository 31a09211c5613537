"""Tables of estimates: how long jobs took, what was foretold, and how far the event log is read."""

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)

from orchestrator.store.columns import column, metadata, moment

ALL: Final = ""
GAP: Final = "gap"
STAY: Final = "stay"

# `what`: the fingerprint of a program; '' for all jobs of the type; 'gap' between two jobs of a
# batch; 'stay' of an open batch on its seat.
pace = Table(
    "pace",
    metadata,
    Column("device_type", Text, ForeignKey("device_type.name"), primary_key=True),
    Column("what", Text, primary_key=True),
    Column("seconds", ARRAY(Double), nullable=False),
    moment("learned_at", required=True),
    Index("pace_learned_idx", "learned_at"),
)

prediction = Table(
    "prediction",
    metadata,
    Column("batch_id", Uuid, ForeignKey("batch.id"), primary_key=True),
    Column("device_type", Text, ForeignKey("device_type.name"), nullable=False),
    Column("program", Text, nullable=False),
    moment("made_at", required=True),
    Column("start_p50", DateTime(timezone=True), nullable=False),
    Column("start_p90", DateTime(timezone=True), nullable=False),
    moment("started_at"),
    Index(
        "prediction_scored_idx",
        "device_type",
        "started_at",
        postgresql_where=text("started_at IS NOT NULL"),
    ),
    Index("prediction_unscored_idx", "made_at", postgresql_where=text("started_at IS NULL")),
)

# One row. Whoever has it locked is the one who learns.
learning = Table(
    "learning",
    metadata,
    Column("id", Integer, primary_key=True),
    column(BigInteger, "event", "0"),
    column(BigInteger, "batch", "0"),
    moment("looked_at", required=True),
    CheckConstraint("id = 1", name="one_row"),
)
