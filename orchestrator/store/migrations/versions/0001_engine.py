"""The engine's tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# The last line of defence for «never leaves a terminal state»: revive alone leaves the others.
_FINAL = {"batch": "'DONE', 'TIMED_OUT'", "job": "'DONE'"}
_KEEP = """
    CREATE FUNCTION holdfast_refuse_move() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% % is % and stays so', TG_TABLE_NAME, OLD.id, OLD.status
            USING ERRCODE = 'check_violation';
    END $$
"""


def upgrade() -> None:
    op.create_table(
        "device_type",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("executor", sa.Text(), nullable=False),
        sa.Column("on_lost", sa.Text(), nullable=True),
        sa.Column("max_runs", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "on_lost IN ('wait', 'retry', 'fail')", name=op.f("device_type_on_lost")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("device_type_pkey")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "xid",
            sa.BigInteger(),
            server_default=sa.text("pg_current_xact_id()::text::bigint"),
            nullable=False,
        ),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("device_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "detail", postgresql.JSON(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("event_pkey")),
    )
    op.create_index("event_batch_idx", "event", ["batch_id", "xid", "id"], unique=False)
    op.create_index("event_project_idx", "event", ["project_id", "xid", "id"], unique=False)
    op.create_table(
        "project",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("project_pkey")),
        sa.UniqueConstraint("name", name=op.f("project_name_key")),
    )
    op.create_table(
        "user",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("user_pkey")),
        sa.UniqueConstraint("username", name=op.f("user_username_key")),
    )
    op.create_table(
        "watch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "beats_read_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("id = 1", name=op.f("watch_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("watch_pkey")),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("api_key_project_id_fkey")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("api_key_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("api_key_pkey")),
        sa.UniqueConstraint("hash", name=op.f("api_key_hash_key")),
    )
    op.create_index(op.f("api_key_project_id_idx"), "api_key", ["project_id"], unique=False)
    op.create_table(
        "membership",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("membership_project_id_fkey")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("membership_user_id_fkey")),
        sa.PrimaryKeyConstraint("user_id", "project_id", name=op.f("membership_pkey")),
    )
    op.create_table(
        "submission",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("report", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("submission_project_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("submission_pkey")),
        sa.UniqueConstraint("project_id", "key", name=op.f("submission_project_id_key_key")),
    )
    op.create_table(
        "batch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("submission_id", sa.Uuid(), nullable=True),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("device_type", sa.Text(), nullable=False),
        sa.Column("device_name", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default=sa.text("'PENDING'"), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("preemptible", sa.Boolean(), nullable=False),
        sa.Column("lanes", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("idle_timeout_s", sa.Double(), nullable=False),
        sa.Column("max_duration_s", sa.Double(), nullable=True),
        sa.Column("tags", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("shared", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("jobs_total", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("jobs_left", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("jobs_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("jobs_failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("jobs_canceled", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("admitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("idle_deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("overrun_deadline", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(ended_at IS NOT NULL) = (status IN ('DONE', 'CANCELED', 'TIMED_OUT', 'ERROR'))",
            name=op.f("batch_ended"),
        ),
        sa.CheckConstraint(
            "status <> 'DONE' OR (jobs_left = 0 AND NOT open)", name=op.f("batch_drained")
        ),
        sa.CheckConstraint(
            "status IN ('PENDING', 'ADMITTED', 'RUNNING', 'PAUSED', 'PREEMPTED',"
            " 'DONE', 'CANCELED', 'TIMED_OUT', 'ERROR')",
            name=op.f("batch_status"),
        ),
        sa.CheckConstraint(
            "jobs_left >= 0 AND jobs_total = jobs_left + jobs_done + jobs_failed + jobs_canceled",
            name=op.f("batch_counts"),
        ),
        sa.CheckConstraint("lanes >= 1 AND idle_timeout_s > 0", name=op.f("batch_bounds")),
        sa.ForeignKeyConstraint(
            ["device_type"], ["device_type.name"], name=op.f("batch_device_type_fkey")
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["batch.id"], name=op.f("batch_parent_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("batch_project_id_fkey")),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["submission.id"], name=op.f("batch_submission_id_fkey")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("batch_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("batch_pkey")),
        sa.UniqueConstraint("seq", name=op.f("batch_seq_key")),
    )
    op.create_index(
        "batch_idle_idx",
        "batch",
        ["idle_deadline"],
        unique=False,
        postgresql_where=sa.text("idle_deadline IS NOT NULL"),
    )
    op.create_index(
        "batch_lanes_idx",
        "batch",
        ["device_type", sa.literal_column("priority DESC"), "seq"],
        unique=False,
        postgresql_where=sa.text("lanes > 1 AND status IN ('ADMITTED', 'RUNNING')"),
    )
    op.create_index(
        "batch_overrun_idx",
        "batch",
        ["overrun_deadline"],
        unique=False,
        postgresql_where=sa.text("overrun_deadline IS NOT NULL"),
    )
    op.create_index("batch_project_idx", "batch", ["project_id", "seq"], unique=False)
    op.create_index("batch_status_idx", "batch", ["project_id", "status", "seq"], unique=False)
    op.create_index(
        "batch_open_idx", "batch", ["project_id", "seq"], postgresql_where=sa.text("open")
    )
    op.create_index("batch_created_idx", "batch", ["project_id", "created_at"], unique=False)
    op.create_index(
        "batch_name_idx",
        "batch",
        ["project_id", "name"],
        postgresql_where=sa.text("name IS NOT NULL"),
    )
    op.create_index(
        "batch_queue_idx",
        "batch",
        ["device_type", sa.literal_column("priority DESC"), "seq"],
        unique=False,
        postgresql_where=sa.text("status = 'PENDING'"),
    )
    op.create_index("batch_tags_idx", "batch", ["tags"], unique=False, postgresql_using="gin")
    op.create_index(
        "batch_waiting_idx",
        "batch",
        ["status"],
        unique=False,
        postgresql_where=sa.text("status IN ('PREEMPTED', 'PAUSED')"),
    )
    op.create_table(
        "device",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("service_reason", sa.Text(), nullable=True),
        sa.Column("online", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("session", sa.Text(), nullable=True),
        sa.Column("journal", sa.Text(), nullable=True),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("versions", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seat", sa.Uuid(), nullable=True),
        sa.Column("fence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("yielding", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("window_size", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint(
            "service IN ('active', 'draining', 'paused', 'retired')", name=op.f("device_service")
        ),
        sa.CheckConstraint("fence >= 0 AND window_size > 0", name=op.f("device_counters")),
        sa.ForeignKeyConstraint(["seat"], ["batch.id"], name=op.f("device_seat_fkey")),
        sa.ForeignKeyConstraint(["type"], ["device_type.name"], name=op.f("device_type_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("device_pkey")),
        sa.UniqueConstraint("name", name=op.f("device_name_key")),
    )
    op.create_index(
        "device_seat_idx",
        "device",
        ["seat"],
        unique=False,
        postgresql_where=sa.text("seat IS NOT NULL"),
    )
    op.create_index(op.f("device_type_idx"), "device", ["type"], unique=False)
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'PENDING'"), nullable=False),
        sa.Column("payload", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=True),
        sa.Column("run", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("window_id", sa.BigInteger(), nullable=True),
        sa.Column("device_id", sa.Integer(), nullable=True),
        sa.Column(
            "cancel_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(ended_at IS NOT NULL) = (status IN ('DONE', 'ERROR', 'CANCELED'))",
            name=op.f("job_ended"),
        ),
        sa.CheckConstraint(
            "status IN ('PENDING', 'RUNNING', 'DONE', 'ERROR', 'CANCELED')", name=op.f("job_status")
        ),
        sa.CheckConstraint("ordinal >= 1 AND run >= 0", name=op.f("job_counters")),
        sa.CheckConstraint("window_id IS NULL OR ended_at IS NULL", name=op.f("job_staged")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("job_batch_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("job_pkey")),
        sa.UniqueConstraint("batch_id", "ordinal", name=op.f("job_batch_id_ordinal_key")),
    )
    op.create_index(
        "job_next_idx",
        "job",
        ["batch_id", "ordinal"],
        unique=False,
        postgresql_where=sa.text("status = 'PENDING' AND window_id IS NULL"),
    )
    op.create_index("job_project_idx", "job", ["project_id", "id"], unique=False)
    op.create_index(
        "job_interrupt_idx",
        "job",
        ["id"],
        postgresql_where=sa.text("cancel_requested AND window_id IS NOT NULL"),
    )
    op.create_index(
        "job_window_idx",
        "job",
        ["window_id"],
        unique=False,
        postgresql_where=sa.text("window_id IS NOT NULL"),
    )
    op.create_table(
        "result",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column(
            "value", postgresql.JSON(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("ref", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("(value IS NULL) <> (ref IS NULL)", name=op.f("result_one_place")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("result_job_id_fkey")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("result_pkey")),
    )
    op.create_table(
        "window",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("journal", sa.Text(), nullable=False),
        sa.Column(
            "staged_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "sent_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("window_batch_id_fkey")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("window_device_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("window_pkey")),
    )
    op.create_index(op.f("window_device_id_idx"), "window", ["device_id"], unique=False)
    op.execute(_KEEP)
    for table, ends in _FINAL.items():
        op.execute(
            f"CREATE TRIGGER {table}_keeps_its_end BEFORE UPDATE OF status ON {table}"
            f" FOR EACH ROW WHEN (OLD.status IN ({ends}) AND NEW.status <> OLD.status)"
            " EXECUTE FUNCTION holdfast_refuse_move()"
        )


def downgrade() -> None:
    op.drop_index(op.f("window_device_id_idx"), table_name="window")
    op.drop_table("window")
    op.drop_table("result")
    op.drop_index(
        "job_window_idx", table_name="job", postgresql_where=sa.text("window_id IS NOT NULL")
    )
    op.drop_index("job_project_idx", table_name="job")
    op.drop_index(
        "job_next_idx",
        table_name="job",
        postgresql_where=sa.text("status = 'PENDING' AND window_id IS NULL"),
    )
    op.drop_table("job")
    op.drop_index(op.f("device_type_idx"), table_name="device")
    op.drop_index(
        "device_seat_idx", table_name="device", postgresql_where=sa.text("seat IS NOT NULL")
    )
    op.drop_table("device")
    op.drop_index(
        "batch_waiting_idx",
        table_name="batch",
        postgresql_where=sa.text("status IN ('PREEMPTED', 'PAUSED')"),
    )
    op.drop_index("batch_tags_idx", table_name="batch", postgresql_using="gin")
    op.drop_index(
        "batch_queue_idx", table_name="batch", postgresql_where=sa.text("status = 'PENDING'")
    )
    op.drop_index("batch_project_idx", table_name="batch")
    op.drop_index(
        "batch_overrun_idx",
        table_name="batch",
        postgresql_where=sa.text("overrun_deadline IS NOT NULL"),
    )
    op.drop_index(
        "batch_lanes_idx",
        table_name="batch",
        postgresql_where=sa.text("lanes > 1 AND status IN ('ADMITTED', 'RUNNING')"),
    )
    op.drop_index(
        "batch_idle_idx", table_name="batch", postgresql_where=sa.text("idle_deadline IS NOT NULL")
    )
    op.drop_table("batch")
    op.drop_table("submission")
    op.drop_table("membership")
    op.drop_index(op.f("api_key_project_id_idx"), table_name="api_key")
    op.drop_table("api_key")
    op.drop_table("watch")
    op.drop_table("user")
    op.drop_table("project")
    op.drop_index("event_project_idx", table_name="event")
    op.drop_index("event_batch_idx", table_name="event")
    op.drop_table("event")
    op.drop_table("device_type")
    op.execute("DROP FUNCTION holdfast_refuse_move()")
