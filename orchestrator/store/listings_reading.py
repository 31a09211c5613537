"""The read side's connection and its cursors."""

import base64
import binascii
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Engine

from orchestrator.errors import Flaw, Rejected
from orchestrator.store import tenancy
from orchestrator.store.transaction import failing_as_ours

Reader = Connection
LIMIT_DEFAULT: Final = 100
LIMIT_MOST: Final = 1000


@contextmanager
def reading(engine: Engine, project: UUID | None = None) -> Generator[Reader]:
    """One statement is one snapshot, in a transaction or not.

    With a `project` Postgres itself shows no row of another one, whatever the statements say. It
    is for what looks at nothing of others: who counts the batches ahead in a queue cannot use it.
    """
    separate = engine.execution_options(isolation_level="AUTOCOMMIT")
    with failing_as_ours(), separate.connect() as connection:
        if project is None or not tenancy.is_on(engine, connection):
            yield connection
        else:
            with tenancy.within(connection, project):
                yield connection


def one_or_any(column: str, given: dict[str, Any]) -> str:
    """A clause for `statuses`. With a single one an index gives the rows in order; of any of
    several it can only give all, to be sorted."""
    if len(given["statuses"]) == 1:
        given["status"] = given.pop("statuses")[0]
        return f"{column} = :status"
    return f"{column} = ANY(:statuses)"


def cursor_of(listing: str, place: object) -> str:
    """Opaque to the caller; `listing` keeps a cursor from being used elsewhere."""
    return base64.urlsafe_b64encode(f"{listing}:{place}".encode()).decode().rstrip("=")


def place_in(listing: str, cursor: str) -> str:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        kind, _, place = (
            base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition(":")
        )
    except (binascii.Error, ValueError):
        kind, place = "", ""
    if kind != listing or not place:
        raise bad_cursor("cursor")
    return place


def number_in(listing: str, cursor: str) -> int:
    place = place_in(listing, cursor)
    if not place.isascii() or not place.isdecimal() or len(place) > 18:
        raise bad_cursor("cursor")
    return int(place)


def bad_cursor(field: str) -> Rejected:
    return Rejected([Flaw(field, "is not one that this listing gave; start again without it")])
