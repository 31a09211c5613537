"""The second line between projects: row security, under a role that sees the rows of one.

The first line is that every statement names its project. This one holds where a statement forgets.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, text

ROLE: Final = "holdfast_tenant"
_IS_ON: Final = text(
    """
    SELECT EXISTS (
        SELECT FROM pg_roles WHERE rolname = :role AND pg_has_role(oid, CASE
            WHEN CAST(current_setting('server_version_num') AS int) < 160000 THEN 'MEMBER'
            ELSE 'SET'
        END)
    ) AND EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('job') AND relrowsecurity)
    """
)
_known: Final[WeakKeyDictionary[Engine, bool]] = WeakKeyDictionary()


def is_on(engine: Engine, connection: Connection) -> bool:
    """Off where the database's user may not take the role on; asked once for each engine."""
    known = _known.get(engine)
    if known is None:
        known = _known[engine] = asked(connection)
    return known


def asked(connection: Connection) -> bool:
    found: bool = connection.execute(_IS_ON, {"role": ROLE}).scalar_one()
    return found


@contextmanager
def within(connection: Connection, project: UUID) -> Generator[None]:
    """Until the end of the block, on a connection that commits by itself. The role ends with the
    transaction, so that nothing of it is left when the connection is used again."""
    # All in one go, for each would cost a trip; an id cannot spell anything but itself.
    begin = f"BEGIN READ ONLY; SET LOCAL ROLE {ROLE}; SET LOCAL holdfast.project = '{project}'"
    try:
        connection.exec_driver_sql(begin, execution_options={"no_parameters": True})
        yield
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql("ROLLBACK")
