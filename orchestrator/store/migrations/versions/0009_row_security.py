"""Row security: a role that sees the rows of one project only, and can change none.

The tables' owner goes on seeing everything; whoever reads for a project takes that role on for
the length of the read.
"""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

logger = logging.getLogger(__name__)

ROLE = "holdfast_tenant"
POLICY = "of_one_project"
OWN = (
    "api_key",
    "batch",
    "computation",
    "controller",
    "entry",
    "event",
    "hold",
    "job",
    "submission",
    "transfer",
    "webhook_endpoint",
)
# Of no project themselves, but looked at with rows that are.
BESIDE = ("device", "webhook_attempt", "webhook_delivery")
RULE = "project_id = CAST(current_setting('holdfast.project', true) AS uuid)"
RULES = dict.fromkeys(OWN, RULE) | {
    # Types that are everybody's, and the account that all credits come from.
    "device_type": f"project_id IS NULL OR {RULE}",
    "account": f"project_id IS NULL OR {RULE}",
    # The role sees a job, or a batch, only where that one's own rule lets it.
    "result": "EXISTS (SELECT FROM job WHERE job.id = result.job_id)",
    '"window"': 'EXISTS (SELECT FROM batch WHERE batch.id = "window".batch_id)',
}
SEEN = ", ".join((*RULES, *BESIDE))

# Since Postgres 16 a role's maker is a member of it, but may not take it on before it says so.
MAY = """
CASE WHEN CAST(current_setting('server_version_num') AS int) < 160000 THEN 'MEMBER' ELSE 'SET' END
"""
# A role belongs to all databases of a server. Another one's migration may make it right now, and
# whoever is not allowed to make it may have been given it.
MAKE_ROLE = f"""
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN
        BEGIN
            CREATE ROLE {ROLE} NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
        END;
    END IF;
    IF EXISTS (
        SELECT FROM pg_roles WHERE rolname = '{ROLE}' AND NOT pg_has_role(oid, {MAY})
    ) THEN
        BEGIN
            GRANT {ROLE} TO CURRENT_USER;
        EXCEPTION WHEN unique_violation OR internal_error OR insufficient_privilege THEN NULL;
        END;
    END IF;
END $$
"""
MAY_TAKE_ROLE = sa.text(
    f"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}' AND pg_has_role(oid, {MAY}))"
)
HAS_ROLE = sa.text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role)")


def upgrade() -> None:
    op.execute(MAKE_ROLE)
    if not op.get_bind().execute(MAY_TAKE_ROLE).scalar_one():
        logger.warning(
            "row security is off: this database user may not create roles. Let a superuser run"
            " CREATE ROLE %s NOLOGIN and grant it to this user, then migrate down to 0008 and up",
            ROLE,
        )
        return
    for table, rule in RULES.items():
        op.execute(f"CREATE POLICY {POLICY} ON {table} FOR SELECT TO {ROLE} USING ({rule})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"GRANT SELECT ON {SEEN} TO {ROLE}")


def downgrade() -> None:
    """The role stays: other databases of the server may have it too."""
    for table in RULES:
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"DROP POLICY IF EXISTS {POLICY} ON {table}")
    if op.get_bind().execute(HAS_ROLE, {"role": ROLE}).scalar_one():
        op.execute(f"REVOKE ALL ON {SEEN} FROM {ROLE}")
