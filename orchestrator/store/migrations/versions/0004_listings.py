"""Exact totals and pages over a million jobs"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# What jobs.insert and jobs.add keep up to date from here on.
_FILL = """
    WITH valued AS (
        SELECT batch_id, runs, count(*) AS n FROM job WHERE runs IS NOT NULL GROUP BY batch_id, runs
    ), summed AS (
        SELECT batch_id, runs,
            CAST(sum(n) OVER (PARTITION BY batch_id ORDER BY runs) AS int) AS upto
        FROM valued
    ), spread AS (
        SELECT batch_id, array_agg(runs ORDER BY runs) AS runs,
            array_agg(upto ORDER BY runs) AS runs_upto
        FROM summed GROUP BY batch_id
    ), spanned AS (
        SELECT batch_id, min(created_at) AS first_at, max(created_at) AS last_at
        FROM job GROUP BY batch_id
    )
    UPDATE batch SET jobs_first_at = spanned.first_at, jobs_last_at = spanned.last_at,
        runs = COALESCE(spread.runs, '{}'), runs_upto = COALESCE(spread.runs_upto, '{}')
    FROM spanned LEFT JOIN spread ON spread.batch_id = spanned.batch_id
    WHERE batch.id = spanned.batch_id
"""


def upgrade() -> None:
    op.add_column("batch", sa.Column("jobs_first_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("batch", sa.Column("jobs_last_at", sa.DateTime(timezone=True), nullable=True))
    for name in ("runs", "runs_upto"):
        op.add_column(
            "batch",
            sa.Column(name, sa.ARRAY(sa.Integer()), server_default=sa.text("'{}'"), nullable=False),
        )
    op.execute(_FILL)
    op.create_index(
        "job_without_result_idx",
        "job",
        ["project_id", "status", "id"],
        postgresql_include=["batch_id", "runs"],
        postgresql_where=sa.text("status IN ('ERROR', 'CANCELED')"),
    )


def downgrade() -> None:
    op.drop_index("job_without_result_idx", table_name="job")
    for name in ("runs_upto", "runs", "jobs_last_at", "jobs_first_at"):
        op.drop_column("batch", name)
