"""Batches of one user, or of one device type, are listed without looking at all the others"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("batch_user_idx", "batch", ["project_id", "user_id", "seq"])
    op.create_index("batch_type_idx", "batch", ["project_id", "device_type", "seq"])


def downgrade() -> None:
    op.drop_index("batch_type_idx", table_name="batch")
    op.drop_index("batch_user_idx", table_name="batch")
