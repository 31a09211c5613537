"""The portal's sessions, and the trace that a batch was submitted in."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "portal_session",
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        sa.Column("project_id", sa.Uuid, sa.ForeignKey("project.id"), nullable=False),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("user.id")),
        sa.Column("key_id", sa.Uuid, sa.ForeignKey("api_key.id", ondelete="CASCADE")),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "user_id IS NOT NULL OR key_id IS NOT NULL", name=op.f("portal_session_holder")
        ),
    )
    op.create_index("portal_session_expires_at_idx", "portal_session", ["expires_at"])
    op.add_column("batch", sa.Column("trace", sa.Text))


def downgrade() -> None:
    op.drop_column("batch", "trace")
    op.drop_table("portal_session")
