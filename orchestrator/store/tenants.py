"""Tables of who may do what: projects, users, keys, and what signs tokens and certificates."""

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
)

from orchestrator.store.columns import column, metadata, moment

project = Table(
    "project",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    moment("created_at", required=True),
)

user = Table(
    "user",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("username", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    moment("created_at", required=True),
)

membership = Table(
    "membership",
    metadata,
    Column("user_id", Uuid, ForeignKey("user.id"), primary_key=True),
    Column("project_id", Uuid, ForeignKey("project.id"), primary_key=True),
    column(Text, "role", "'owner'"),
    CheckConstraint("role IN ('reader', 'member', 'operator', 'owner')", name="role"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("project_id", Uuid, ForeignKey("project.id"), nullable=False, index=True),
    Column("user_id", Uuid, ForeignKey("user.id")),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    column(Text, "kind", "'workspace'"),
    column(Text, "last4", "''"),
    moment("created_at", required=True),
    moment("last_used_at"),
    moment("expires_at"),
    moment("revoked_at"),
    CheckConstraint("kind IN ('workspace', 'runner')", name="kind"),
)

signing_key = Table(
    "signing_key",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
    moment("created_at", required=True),
    CheckConstraint("id = 1", name="one_row"),
)

certificate_key = Table(
    "certificate_key",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("private", LargeBinary, nullable=False),
    moment("created_at", required=True),
    CheckConstraint("id = 1", name="one_row"),
)

portal_session = Table(
    "portal_session",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("project_id", Uuid, ForeignKey("project.id"), nullable=False),
    Column("user_id", Uuid, ForeignKey("user.id")),
    Column("key_id", Uuid, ForeignKey("api_key.id", ondelete="CASCADE")),
    moment("created_at", required=True),
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
    CheckConstraint("user_id IS NOT NULL OR key_id IS NOT NULL", name="holder"),
)
