"""Webhooks"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_secret",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        _moment("created_at", required=True),
        _moment("expires_at"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("webhook_secret_project_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_secret_pkey")),
    )
    op.create_index(
        "webhook_secret_current_idx",
        "webhook_secret",
        ["project_id"],
        unique=True,
        postgresql_where=sa.text("expires_at IS NULL"),
    )
    op.create_index("webhook_secret_project_idx", "webhook_secret", ["project_id", "id"])
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        _moment("created_at", required=True),
        _moment("failing_since"),
        _moment("hold_until"),
        _moment("disabled_at"),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(disabled_at IS NULL) = (disabled_reason IS NULL)",
            name=op.f("webhook_endpoint_disabled"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("webhook_endpoint_project_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_endpoint_pkey")),
        sa.UniqueConstraint("project_id", "url", name=op.f("webhook_endpoint_project_id_url_key")),
    )
    op.create_index("webhook_endpoint_project_idx", "webhook_endpoint", ["project_id", "id"])
    op.create_table(
        "webhook_cursor",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("xid", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("event_id", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("done", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batch.id"], name=op.f("webhook_cursor_batch_id_fkey")
        ),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("webhook_cursor_pkey")),
    )
    op.create_index(
        "webhook_cursor_live_idx",
        "webhook_cursor",
        ["batch_id"],
        postgresql_where=sa.text("NOT done"),
    )
    _deliveries()
    # Whatever such a batch still does is told; what it has done before is told too, once.
    op.execute(
        "INSERT INTO webhook_cursor (batch_id) SELECT id FROM batch WHERE webhook IS NOT NULL"
    )


def _deliveries() -> None:
    op.create_table(
        "webhook_delivery",
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'PENDING'"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("due_at"),
        _moment("created_at", required=True),
        sa.CheckConstraint(
            "(due_at IS NOT NULL) = (status = 'PENDING')", name=op.f("webhook_delivery_due")
        ),
        sa.CheckConstraint(
            "status IN ('PENDING', 'DELIVERED', 'GIVEN_UP')", name=op.f("webhook_delivery_status")
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batch.id"], name=op.f("webhook_delivery_batch_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoint.id"],
            name=op.f("webhook_delivery_endpoint_id_fkey"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.id"], name=op.f("webhook_delivery_event_id_fkey")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("webhook_delivery_pkey")),
    )
    op.create_index(
        "webhook_delivery_due_idx",
        "webhook_delivery",
        ["endpoint_id", "due_at", "event_id"],
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("webhook_delivery_batch_idx", "webhook_delivery", ["batch_id", "event_id"])
    op.create_table(
        "webhook_attempt",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        _moment("at", required=True),
        _moment("ended_at"),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["webhook_delivery.event_id"],
            name=op.f("webhook_attempt_event_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("event_id", "number", name=op.f("webhook_attempt_pkey")),
    )


def downgrade() -> None:
    for table in ("attempt", "delivery", "cursor", "endpoint", "secret"):
        op.drop_table(f"webhook_{table}")


def _moment(name: str, *, required: bool = False) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        server_default=sa.text("now()") if required else None,
        nullable=not required,
    )
