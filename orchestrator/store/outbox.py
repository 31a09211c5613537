"""Tables of what is told to webhooks: which events, to whom, how often tried."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.types import Boolean

from orchestrator.store.columns import column, metadata, moment

webhook_secret = Table(
    "webhook_secret",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("project_id", Uuid, ForeignKey("project.id"), nullable=False),
    Column("secret", Text, nullable=False),
    moment("created_at", required=True),
    moment("expires_at"),
    Index(
        "webhook_secret_current_idx",
        "project_id",
        unique=True,
        postgresql_where=text("expires_at IS NULL"),
    ),
    Index("webhook_secret_project_idx", "project_id", "id"),
)

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("project_id", Uuid, ForeignKey("project.id"), nullable=False),
    Column("url", Text, nullable=False),
    moment("created_at", required=True),
    moment("failing_since"),
    moment("hold_until"),
    moment("disabled_at"),
    Column("disabled_reason", Text),
    UniqueConstraint("project_id", "url"),
    CheckConstraint("(disabled_at IS NULL) = (disabled_reason IS NULL)", name="disabled"),
    Index("webhook_endpoint_project_idx", "project_id", "id"),
)

# How far a batch's events have been told. `version` is the batch row's own (its xmin) at that
# time: while it stays the same there is nothing new, so finding that out reads no event.
webhook_cursor = Table(
    "webhook_cursor",
    metadata,
    Column("batch_id", Uuid, ForeignKey("batch.id"), primary_key=True),
    column(BigInteger, "xid", "0"),
    column(BigInteger, "event_id", "0"),
    Column("version", BigInteger),
    column(Boolean, "done", "false"),
    Index("webhook_cursor_live_idx", "batch_id", postgresql_where=text("NOT done")),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("event_id", BigInteger, ForeignKey("event.id"), primary_key=True),
    Column("batch_id", Uuid, ForeignKey("batch.id"), nullable=False),
    Column("endpoint_id", BigInteger, ForeignKey("webhook_endpoint.id"), nullable=False),
    column(Text, "status", "'PENDING'"),
    column(Integer, "tries", "0"),
    moment("due_at"),
    moment("created_at", required=True),
    CheckConstraint("status IN ('PENDING', 'DELIVERED', 'GIVEN_UP')", name="status"),
    CheckConstraint("(due_at IS NOT NULL) = (status = 'PENDING')", name="due"),
    Index(
        "webhook_delivery_due_idx",
        "endpoint_id",
        "due_at",
        "event_id",
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index("webhook_delivery_batch_idx", "batch_id", "event_id"),
)

webhook_attempt = Table(
    "webhook_attempt",
    metadata,
    Column("event_id", BigInteger, ForeignKey("webhook_delivery.event_id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    moment("at", required=True),
    moment("ended_at"),
    Column("http_status", Integer),
    Column("error", Text),
)
