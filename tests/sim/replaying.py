"""What a history asked of the memory, asked of Postgres: the same questions, the same answers."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from orchestrator.services.core import Core
from orchestrator.store import catalog
from orchestrator.store.batches import BatchRow
from orchestrator.store.endings import Ending
from orchestrator.store.transaction import Transaction
from orchestrator.store.watch import Due
from orchestrator.store.windows import Staged
from schemas.job import JobFilter
from tests.sim.memory import Job, Rows
from tests.sim.recording import Call, Taken

TYPES: Final = ("POOL", "LONE")


class Differs(AssertionError):
    """Postgres says something else than the memory did."""


class Undone(Exception):
    """Rolls back what the history had rolled back."""


class Names:
    """Jobs get their ids from the store; everything else is called the same on both sides."""

    def __init__(self) -> None:
        self.theirs: dict[str, UUID] = {}
        self.ours: dict[str, str] = {}

    def learn(self, ours: Sequence[Any], theirs: Sequence[UUID]) -> None:
        for job, id in zip(ours, theirs, strict=True):
            self.theirs[job], self.ours[str(id)] = id, job

    def told(self, value: Any) -> Any:
        """A question in the words of Postgres."""
        if isinstance(value, str):
            return str(self.theirs[value]) if value in self.theirs else value
        if isinstance(value, JobFilter):
            ids = value.ids and [self.theirs[str(job)] for job in value.ids]
            return value.model_copy(update={"ids": ids})
        if isinstance(value, Ending):
            return dataclasses.replace(value, job=self.told(value.job), value="0", size=1)
        if isinstance(value, list):
            return [self.told(one) for one in value]
        if type(value) is tuple:
            return tuple(self.told(one) for one in value)
        return value

    def heard(self, value: Any) -> Any:
        """An answer in the words of the memory, as plain data."""
        if isinstance(value, str | UUID):
            return self.ours.get(str(value), str(value))
        if isinstance(value, BatchRow):
            value = value._replace(seq=0)
        if isinstance(value, Staged):
            return value.window, [self.heard(tuple(row)[:5]) for row in map(_staged, value.jobs)]
        if isinstance(value, Due):
            return {name: sorted(map(self._words, due)) for name, due in vars(value).items()}
        if isinstance(value, Mapping):
            return {self.heard(key): self.heard(one) for key, one in value.items()}
        if isinstance(value, set | frozenset):
            return sorted(map(self.heard, value))
        if isinstance(value, list | tuple):
            return [self.heard(one) for one in value]
        return value

    def _words(self, due: object) -> str:
        """A job that is due comes with its run behind it."""
        return " ".join(self.heard(word) for word in str(due).split())


def _staged(row: "Row[Any] | Job") -> tuple[Any, ...]:
    return row.id, row.run, row.ordinal, row.payload, row.window_id


def replay(core: Core, tape: Sequence[Taken], on_lost: str | None = None) -> Names:
    """On an empty database. Raises `Differs`."""
    with core.transaction() as tx:
        tx.connection.execute(text("ALTER SEQUENCE window_id_seq RESTART"))
        tx.connection.execute(text("ALTER SEQUENCE device_id_seq RESTART"))
        for name in TYPES:
            catalog.meet(tx, name, "sim")
        tx.connection.execute(text("UPDATE device_type SET on_lost = :it"), {"it": on_lost})
    names = Names()
    for taken in tape:
        with suppress(Undone), core.transaction() as tx:
            for call in taken.calls:
                _ask(core, tx, taken, call, names)
            if not taken.kept:
                raise Undone
    return names


def _ask(core: Core, tx: Transaction, taken: Taken, call: Call, names: Names) -> None:
    tx.set_clock(taken.at)
    args, options = names.told(call.args), {k: names.told(v) for k, v in call.options.items()}
    if call.name == "register":
        # An id is drawn for a device that is there already, and lost; the memory draws none.
        tx.connection.execute(_AS_MANY_AS_THERE_ARE)
    if call.name == "get":
        args = (args[0], UUID(args[1]))
    answer = getattr(getattr(core, call.port), call.name)(tx, *args, **options)
    if call.port == "jobs" and call.name in ("insert", "add"):
        names.learn(call.answer, answer)
    told, expected = names.heard(answer), names.heard(call.answer)
    if told != expected:
        raise Differs(f"{call.port}.{call.name}{call.args}:\n{told}, not\n{expected}")


_AS_MANY_AS_THERE_ARE: Final = text(
    "SELECT setval('device_id_seq', (SELECT count(*) + 1 FROM device), false)"
)
_JOBS: Final = text(
    "SELECT id, status, run, window_id, cancel_requested,"
    " (SELECT run FROM result WHERE job_id = job.id) FROM job"
)
_EVENTS: Final = text("SELECT kind, status, batch_id, job_id, device_id FROM event")


def compare(core: Core, names: Names, rows: Rows) -> None:
    """What is left at the end, in every table that matters. Raises `Differs`."""
    with core.transaction() as tx:
        jobs = {
            names.heard(row.id): names.heard(tuple(row)[1:]) for row in tx.connection.execute(_JOBS)
        }
        events = Counter(tuple(names.heard(tuple(row))) for row in tx.connection.execute(_EVENTS))
    ours = {
        job.id: [job.status, job.run, job.window_id, job.cancel_requested, _run(rows, job.id)]
        for job in rows.jobs.values()
    }
    if jobs != ours:
        raise Differs(f"jobs {_difference(jobs, ours)}")
    told = Counter(
        (e.kind, e.status, names.heard(e.batch), names.heard(e.job), e.device) for e in rows.events
    )
    if events != told:
        raise Differs(f"events: only in Postgres {events - told}, only in memory {told - events}")


def _run(rows: Rows, job: str) -> int | None:
    result = rows.results.get(job)
    return None if result is None else result.run


def _difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: (theirs.get(key), ours.get(key))
        for key in theirs.keys() | ours.keys()
        if theirs.get(key) != ours.get(key)
    }
