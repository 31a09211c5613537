"""Estimates: how long jobs took, what was foretold, and how far the event log is read."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "learning",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("batch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "looked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("id = 1", name=op.f("learning_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("learning_pkey")),
    )
    op.execute("INSERT INTO learning (id) VALUES (1)")
    op.create_table(
        "pace",
        sa.Column("device_type", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("seconds", sa.ARRAY(sa.Double()), nullable=False),
        sa.Column(
            "learned_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["device_type"], ["device_type.name"], name=op.f("pace_device_type_fkey")
        ),
        sa.PrimaryKeyConstraint("device_type", "what", name=op.f("pace_pkey")),
    )
    op.create_index("pace_learned_idx", "pace", ["learned_at"])
    op.create_table(
        "prediction",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("device_type", sa.Text(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column(
            "made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("start_p50", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_p90", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("prediction_batch_id_fkey")),
        sa.ForeignKeyConstraint(
            ["device_type"], ["device_type.name"], name=op.f("prediction_device_type_fkey")
        ),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("prediction_pkey")),
    )
    op.create_index(
        "prediction_scored_idx",
        "prediction",
        ["device_type", "started_at"],
        postgresql_where=sa.text("started_at IS NOT NULL"),
    )
    op.create_index(
        "prediction_unscored_idx",
        "prediction",
        ["made_at"],
        postgresql_where=sa.text("started_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("prediction")
    op.drop_table("pace")
    op.drop_table("learning")
