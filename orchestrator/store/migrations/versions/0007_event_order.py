"""Events of a batch are read in the order in which they were written"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A transaction may be older than one that wrote of the same batch before it: it had locked a
    # device then, and the batch only later.
    op.execute(
        """
        CREATE FUNCTION event_behind_the_last() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.xid := GREATEST(NEW.xid, (
                SELECT xid FROM event WHERE batch_id = NEW.batch_id ORDER BY xid DESC LIMIT 1
            ));
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER event_behind_the_last BEFORE INSERT ON event
        FOR EACH ROW WHEN (NEW.batch_id IS NOT NULL) EXECUTE FUNCTION event_behind_the_last()
        """
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER event_behind_the_last ON event")
    op.execute("DROP FUNCTION event_behind_the_last")
