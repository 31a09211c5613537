"""A transaction, its clock, and what leaves only after it is committed."""

import logging
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from orchestrator.errors import Deadlocked, Flaw, Rejected, Unavailable
from schemas import failpoint

logger = logging.getLogger(__name__)

_UNKEPT = "holds what a database cannot keep: a NUL character, or a number beyond its type"
_CLOCK = text("SELECT clock_timestamp()")


def connect(database_url: str, *, pool_size: int = 10) -> Engine:
    """Statements give up after 30 s, locks after 10 s, a dead server after seconds, not hours.

    To compile a listing takes Postgres longer than to run it, hence no JIT.
    """
    return create_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={
            "connect_timeout": 3,
            "application_name": "holdfast",
            "tcp_user_timeout": 10_000,
            "keepalives_idle": 10,
            "options": "-c statement_timeout=30s -c lock_timeout=10s"
            " -c idle_in_transaction_session_timeout=30s -c jit=off",
        },
    )


class Transaction:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.hooks: list[Callable[[], None]] = []
        self.last: dict[Callable[[Transaction, Any], None], list[Any]] = {}

    @cached_property
    def at(self) -> datetime:
        """The database's clock: the one clock that all deadlines are measured by."""
        now: datetime = self.connection.execute(_CLOCK).scalar_one()
        return now

    def set_clock(self, now: datetime) -> None:
        """Spares a statement where another one has read the clock on its way."""
        self.__dict__["at"] = now

    def at_last(self, work: Callable[["Transaction", Any], None], things: Iterable[object]) -> None:
        """Done once, right before the commit, with all things that were given for it: for rows
        that many transactions want, so that none has them while it waits for others."""
        self.last.setdefault(work, []).extend(things)

    def after_commit(self, hook: Callable[[], None]) -> None:
        self.hooks.append(hook)


@contextmanager
def failing_as_ours() -> Generator[None]:
    """The driver's errors as ours: try later, or send something that can be kept."""
    try:
        yield
    except (OperationalError, PoolTimeout, failpoint.Injected) as error:
        if isinstance(getattr(error, "orig", None), psycopg.errors.DeadlockDetected):
            raise Deadlocked("two calls waited for each other; try again") from error
        raise Unavailable("the database does not answer; try again in a few seconds") from error
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig, psycopg.OperationalError):
            raise Unavailable("the database went away; try again in a few seconds") from error
        if isinstance(error.orig, psycopg.DataError):
            raise Rejected([Flaw("request", _UNKEPT)]) from error
        raise


@contextmanager
def transaction(engine: Engine) -> Generator[Transaction]:
    """Hooks run only after the commit, so no message can name a row that was rolled back.

    A hook that fails is logged and passed over: hooks are speed, the sweep is truth.
    """
    with failing_as_ours():
        with engine.begin() as connection:
            tx = Transaction(connection)
            yield tx
            for work, things in tx.last.items():
                work(tx, things)
        failpoint.reach("tx.committed")
    for hook in tx.hooks:
        try:
            hook()
        except Exception:
            logger.warning(
                "a hook after commit failed; the sweep will make up for it", exc_info=True
            )
