"""Submit-batch: credits, shared computations, users' own machines, kinds of keys and roles."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CHECKS = (
    ("device_type", "money", "rate >= 0 AND cores > 0"),
    ("device", "transport", "transport IN ('celery', 'https')"),
    ("membership", "role", "role IN ('reader', 'member', 'operator', 'owner')"),
    ("api_key", "kind", "kind IN ('workspace', 'runner')"),
)


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("balance", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("(project_id IS NULL) = (kind = 'funding')", name=op.f("account_owner")),
        sa.CheckConstraint("kind = 'funding' OR balance >= 0", name=op.f("account_balance")),
        sa.CheckConstraint(
            "kind IN ('available', 'held', 'revenue', 'funding')", name=op.f("account_kind")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("account_project_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("account_pkey")),
    )
    op.create_index(
        "account_owner_idx",
        "account",
        ["project_id", "kind"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "computation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("leader", sa.Uuid(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("computation_pkey")),
    )
    op.create_index(
        "computation_key_idx",
        "computation",
        ["project_id", "key"],
        unique=True,
        postgresql_where=sa.text("NOT withdrawn"),
    )
    op.create_index("computation_leader_idx", "computation", ["leader"], unique=False)
    op.create_table(
        "controller",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("device_type", sa.Text(), nullable=False),
        sa.Column("session", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=False),
        sa.Column("cores", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("lanes", sa.Integer(), nullable=False),
        sa.Column("slots", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("backends", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("labels", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'online'"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "registered_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('online', 'draining', 'paused')", name=op.f("controller_state")
        ),
        sa.CheckConstraint(
            "cores > 0 AND memory_mb > 0 AND lanes > 0", name=op.f("controller_size")
        ),
        sa.ForeignKeyConstraint(
            ["device_type"], ["device_type.name"], name=op.f("controller_device_type_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("controller_project_id_fkey")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("controller_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("controller_pkey")),
        sa.UniqueConstraint("device_type", name=op.f("controller_device_type_key")),
        sa.UniqueConstraint("token_hash", name=op.f("controller_token_hash_key")),
    )
    op.create_index(
        "controller_name_idx",
        "controller",
        ["project_id", "name"],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=True),
        sa.Column("blob", sa.LargeBinary(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("(uri IS NULL) <> (blob IS NULL)", name=op.f("checkpoint_one_place")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("checkpoint_job_id_fkey")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("checkpoint_pkey")),
    )
    op.create_table(
        "entry",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("cores", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("computation_id", sa.Uuid(), nullable=True),
        sa.Column("follows", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("cached_from", sa.Uuid(), nullable=True),
        sa.Column(
            "usage", postgresql.JSON(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("NOT follows OR computation_id IS NOT NULL", name=op.f("entry_follows")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("entry_job_id_fkey")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("entry_pkey")),
    )
    op.create_index(
        "entry_follows_idx",
        "entry",
        ["computation_id"],
        unique=False,
        postgresql_where=sa.text("follows"),
    )
    op.create_index("entry_project_idx", "entry", ["project_id", "job_id"], unique=False)
    op.create_table(
        "hold",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("rate", sa.BigInteger(), nullable=False),
        sa.Column("cores", sa.Integer(), nullable=False),
        sa.Column("hours", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'held'"), nullable=False),
        sa.Column("captured", sa.BigInteger(), nullable=True),
        sa.Column("core_ms", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'captured') = (captured IS NOT NULL)", name=op.f("hold_captured")
        ),
        sa.CheckConstraint("(state = 'held') = (closed_at IS NULL)", name=op.f("hold_closed")),
        sa.CheckConstraint("state IN ('held', 'captured', 'released')", name=op.f("hold_state")),
        sa.CheckConstraint(
            "rate > 0 AND cores > 0 AND hours > 0 AND amount >= COALESCE(captured, 0)",
            name=op.f("hold_amounts"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("hold_job_id_fkey")),
        sa.PrimaryKeyConstraint("job_id", "attempt", name=op.f("hold_pkey")),
    )
    op.create_index(
        "hold_open_idx", "hold", ["job_id"], unique=True, postgresql_where=sa.text("state = 'held'")
    )
    op.create_index("hold_project_idx", "hold", ["project_id", "closed_at"], unique=False)
    op.create_table(
        "log_chunk",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("seq >= 0 AND start >= 0", name=op.f("log_chunk_counters")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("log_chunk_job_id_fkey")),
        sa.PrimaryKeyConstraint("job_id", "run", "seq", name=op.f("log_chunk_pkey")),
    )
    op.create_table(
        "transfer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("idem_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("debit", sa.BigInteger(), nullable=False),
        sa.Column("credit", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column(
            "detail", postgresql.JSON(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('grant', 'hold', 'extend', 'capture', 'release')", name=op.f("transfer_kind")
        ),
        sa.CheckConstraint("amount > 0 AND debit <> credit", name=op.f("transfer_amount")),
        sa.ForeignKeyConstraint(["credit"], ["account.id"], name=op.f("transfer_credit_fkey")),
        sa.ForeignKeyConstraint(["debit"], ["account.id"], name=op.f("transfer_debit_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("transfer_pkey")),
        sa.UniqueConstraint("idem_key", name=op.f("transfer_idem_key_key")),
    )
    op.create_index(
        "transfer_job_idx",
        "transfer",
        ["job_id"],
        unique=False,
        postgresql_where=sa.text("job_id IS NOT NULL"),
    )
    op.create_index("transfer_project_idx", "transfer", ["project_id", "id"], unique=False)
    op.add_column(
        "api_key",
        sa.Column("kind", sa.Text(), server_default=sa.text("'workspace'"), nullable=False),
    )
    op.add_column(
        "api_key", sa.Column("last4", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    op.add_column("api_key", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_key", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "batch", sa.Column("billed", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("batch", sa.Column("key_id", sa.Uuid(), nullable=True))
    op.add_column(
        "device",
        sa.Column("transport", sa.Text(), server_default=sa.text("'celery'"), nullable=False),
    )
    op.add_column(
        "device_type",
        sa.Column("rate", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "device_type", sa.Column("cores", sa.Integer(), server_default=sa.text("1"), nullable=False)
    )
    op.add_column("device_type", sa.Column("project_id", sa.Uuid(), nullable=True))
    op.add_column("window", sa.Column("offer", sa.Text(), nullable=True))
    op.add_column("window", sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("window", sa.Column("progress", sa.Double(), nullable=True))
    op.create_foreign_key(
        op.f("device_type_project_id_fkey"), "device_type", "project", ["project_id"], ["id"]
    )
    op.add_column(
        "membership",
        sa.Column("role", sa.Text(), server_default=sa.text("'owner'"), nullable=False),
    )
    for table, name, rule in CHECKS:
        op.create_check_constraint(op.f(f"{table}_{name}"), table, rule)


def downgrade() -> None:
    for table, name, _ in CHECKS:
        op.drop_constraint(op.f(f"{table}_{name}"), table)
    op.drop_column("membership", "role")
    op.drop_constraint(op.f("device_type_project_id_fkey"), "device_type", type_="foreignkey")
    op.drop_column("window", "progress")
    op.drop_column("window", "lease_until")
    op.drop_column("window", "offer")
    op.drop_column("device_type", "project_id")
    op.drop_column("device_type", "cores")
    op.drop_column("device_type", "rate")
    op.drop_column("device", "transport")
    op.drop_column("batch", "key_id")
    op.drop_column("batch", "billed")
    op.drop_column("api_key", "expires_at")
    op.drop_column("api_key", "last_used_at")
    op.drop_column("api_key", "last4")
    op.drop_column("api_key", "kind")
    op.drop_index("transfer_project_idx", table_name="transfer")
    op.drop_index(
        "transfer_job_idx", table_name="transfer", postgresql_where=sa.text("job_id IS NOT NULL")
    )
    op.drop_table("transfer")
    op.drop_table("log_chunk")
    op.drop_index("hold_project_idx", table_name="hold")
    op.drop_index("hold_open_idx", table_name="hold", postgresql_where=sa.text("state = 'held'"))
    op.drop_table("hold")
    op.drop_index("entry_project_idx", table_name="entry")
    op.drop_index("entry_follows_idx", table_name="entry", postgresql_where=sa.text("follows"))
    op.drop_table("entry")
    op.drop_table("checkpoint")
    op.drop_index(
        "controller_name_idx",
        table_name="controller",
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.drop_table("controller")
    op.drop_index("computation_leader_idx", table_name="computation")
    op.drop_index(
        "computation_key_idx", table_name="computation", postgresql_where=sa.text("NOT withdrawn")
    )
    op.drop_table("computation")
    op.drop_index("account_owner_idx", table_name="account", postgresql_nulls_not_distinct=True)
    op.drop_table("account")
