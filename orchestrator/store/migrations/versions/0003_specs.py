"""Device specs"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device_type", sa.Column("spec", sa.Text(), nullable=True))
    op.add_column(
        "device_type",
        sa.Column("public", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("device_type", sa.Column("max_qubits", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("device_type", "max_qubits")
    op.drop_column("device_type", "public")
    op.drop_column("device_type", "spec")
