"""What a device has done lately, and windows that are interrupted for its sake."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device", sa.Column("service_since", sa.DateTime(timezone=True)))
    op.add_column(
        "window",
        sa.Column("interrupted", sa.Boolean, server_default=sa.text("false"), nullable=False),
    )
    op.create_index(
        "event_device_idx",
        "event",
        ["device_id", "at"],
        postgresql_where=sa.text("device_id IS NOT NULL AND job_id IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("event_device_idx", "event")
    op.drop_column("window", "interrupted")
    op.drop_column("device", "service_since")
