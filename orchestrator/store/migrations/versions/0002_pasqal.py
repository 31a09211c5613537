"""The PASQAL door"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batch", sa.Column("webhook", sa.Text(), nullable=True))
    op.add_column("batch", sa.Column("options", postgresql.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "signing_key",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("id = 1", name=op.f("signing_key_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("signing_key_pkey")),
    )


def downgrade() -> None:
    op.drop_table("signing_key")
    op.drop_column("batch", "options")
    op.drop_column("batch", "webhook")
