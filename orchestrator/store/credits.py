"""Tables of money: accounts, transfers between two of them, and what is held for jobs.

Micro-credits, whole numbers. Every transfer takes from one account what it gives to another, so
that all balances sum to zero by construction; only `funding`, where credits come from, is below
zero. Projects are checked with their accounts, jobs with their holds; not with each transfer, for
a thousand of them may end at once.
"""

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
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from orchestrator.store.columns import column, metadata, moment

account = Table(
    "account",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("project_id", Uuid, ForeignKey("project.id")),
    Column("kind", Text, nullable=False),
    column(BigInteger, "balance", "0"),
    CheckConstraint("kind IN ('available', 'held', 'revenue', 'funding')", name="kind"),
    CheckConstraint("(project_id IS NULL) = (kind = 'funding')", name="owner"),
    CheckConstraint("kind = 'funding' OR balance >= 0", name="balance"),
    Index(
        "account_owner_idx", "project_id", "kind", unique=True, postgresql_nulls_not_distinct=True
    ),
)

transfer = Table(
    "transfer",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("project_id", Uuid, nullable=False),
    Column("idem_key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("debit", BigInteger, ForeignKey("account.id"), nullable=False),
    Column("credit", BigInteger, ForeignKey("account.id"), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("batch_id", Uuid),
    Column("job_id", Uuid),
    Column("detail", JSON(none_as_null=True)),
    moment("created_at", required=True),
    CheckConstraint("kind IN ('grant', 'hold', 'extend', 'capture', 'release')", name="kind"),
    CheckConstraint("amount > 0 AND debit <> credit", name="amount"),
    Index("transfer_project_idx", "project_id", "id"),
    Index("transfer_job_idx", "job_id", postgresql_where=text("job_id IS NOT NULL")),
)

# `attempt` grows when a batch is revived: what its jobs held before was given back.
hold = Table(
    "hold",
    metadata,
    Column("job_id", Uuid, ForeignKey("job.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("project_id", Uuid, nullable=False),
    Column("rate", BigInteger, nullable=False),
    Column("cores", Integer, nullable=False),
    Column("hours", Integer, nullable=False),
    Column("amount", BigInteger, nullable=False),
    column(Text, "state", "'held'"),
    Column("captured", BigInteger),
    Column("core_ms", BigInteger),
    moment("created_at", required=True),
    moment("closed_at"),
    CheckConstraint("state IN ('held', 'captured', 'released')", name="state"),
    CheckConstraint("(state = 'held') = (closed_at IS NULL)", name="closed"),
    CheckConstraint("(state = 'captured') = (captured IS NOT NULL)", name="captured"),
    CheckConstraint(
        "rate > 0 AND cores > 0 AND hours > 0 AND amount >= COALESCE(captured, 0)", name="amounts"
    ),
    Index("hold_open_idx", "job_id", unique=True, postgresql_where=text("state = 'held'")),
    Index("hold_project_idx", "project_id", "closed_at"),
)
