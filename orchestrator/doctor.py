"""`holdfast doctor`: what is wrong with this deployment, and what to do about it.

It must work when nothing else does: each server is asked in a thread of its own, with a deadline,
and one that hangs hides nothing that the others say.
"""

import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, Generic, TextIO, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.broker.health import BrokerFacts, broker_facts, queue_lengths
from orchestrator.config import Settings
from orchestrator.store.health import (
    DatabaseFacts,
    DeviceFacts,
    EngineFacts,
    database_facts,
    engine_facts,
    visit,
)
from schemas.objects import S3, store_options

ANSWER_S: Final = 2
DEADLINE_S: Final = 3.0
"""For one server, whatever it does. The three are asked side by side, the queues afterwards."""
SKEW_S: Final = 1.0
SWEPT_S: Final = 5.0
BACKLOG: Final = 100
OLDEST_POSTGRES: Final = 15
OLDEST_REDIS: Final = (6, 2)
"""GETDEL, which permits are taken with, came with 6.2."""

T = TypeVar("T")


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_OF_ENGINE: Final = ("row security", "devices", "sweep", "queues")
_STYLES: Final = {State.OK: "green", State.WARN: "yellow", State.FAIL: "bold red"}


@dataclass(frozen=True)
class Check:
    """`says` is one sentence; where something is wrong, with what mends it."""

    name: str
    state: State
    says: str


@dataclass(frozen=True)
class Trouble:
    """Why there is no answer."""

    why: str


def examine(settings: Settings) -> list[Check]:
    """Returns within two deadlines, whatever is down."""
    database = Asked(lambda: _look_at_database(settings))
    broker = Asked(lambda: broker_facts(settings.broker_url, within_s=ANSWER_S))
    store = Asked(lambda: _try_store(settings.store_url, settings.s3))
    found, broker_found = database.answer(), broker.answer()
    facts, engine = (found, None) if isinstance(found, Trouble) else found
    checks = [*_of_database(facts), _of_broker(broker_found), _of_store(store.answer())]
    if engine is None:
        return [*checks, *(_unknown(name) for name in _OF_ENGINE)]
    lengths = _queue_lengths(settings, engine, broker_found)
    return [
        *checks,
        _of_row_security(engine),
        _of_devices(engine.devices),
        _of_sweep(engine),
        _of_queues(engine, lengths),
    ]


def show(checks: Sequence[Check], stream: TextIO | None = None) -> bool:
    """A table for people. True if nothing failed; warnings do not count."""
    out = sys.stdout if stream is None else stream
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("CHECK", "", "WHAT IT FOUND"):
        table.add_column(title, overflow="fold")
    for check in checks:
        table.add_row(check.name, Text(check.state, _STYLES[check.state]), Text(check.says))
    Console(file=out, width=None if out.isatty() else 160, highlight=False).print(table)
    return all(check.state is not State.FAIL for check in checks)


class Asked(Generic[T]):
    """A question under way. Its thread is left behind if it never ends."""

    def __init__(self, question: Callable[[], T]) -> None:
        self._answers: SimpleQueue[T | Trouble] = SimpleQueue()
        self._question = question
        Thread(target=self._ask, name="doctor", daemon=True).start()

    def answer(self) -> T | Trouble:
        try:
            return self._answers.get(timeout=DEADLINE_S)
        except Empty:
            return Trouble(f"no answer within {DEADLINE_S:g} s")

    def _ask(self) -> None:
        try:
            self._answers.put(self._question())
        except Exception as error:
            # The driver's own words, without its second page of advice.
            words = str(error).strip().splitlines() or [""]
            self._answers.put(Trouble(f"{type(error).__name__}: {words[0]}"[:300]))


def _look_at_database(settings: Settings) -> tuple[DatabaseFacts, EngineFacts | None]:
    with visit(settings.database_url, within_s=ANSWER_S) as connection:
        facts = database_facts(settings.database_url, connection)
        at_head = facts.revision == facts.head
        return facts, engine_facts(connection) if at_head else None


def _try_store(url: str, s3: S3) -> None:
    """Write, read and take away one small object, as workers and the API will."""
    import obstore
    from obstore.store import from_url

    key, body = f"doctor/{uuid.uuid4()}", b"holdfast"
    store: Any = from_url(url, **store_options(url, s3))
    obstore.put(store, key, body)
    try:
        if bytes(obstore.get(store, key).bytes()) != body:
            raise OSError("it gave back something else than was written")
    finally:
        obstore.delete(store, key)


def _queue_lengths(
    settings: Settings, engine: EngineFacts, broker: BrokerFacts | Trouble
) -> Mapping[str, int] | Trouble:
    if isinstance(broker, Trouble):
        return broker
    names = [device.name for device in engine.devices]
    return Asked(lambda: queue_lengths(settings.broker_url, names, within_s=ANSWER_S)).answer()


def _of_database(facts: DatabaseFacts | Trouble) -> list[Check]:
    if isinstance(facts, Trouble):
        why = f"Postgres does not answer ({facts.why}): start it, or mend HOLDFAST_DATABASE_URL"
        return [Check("database", State.FAIL, why), _unknown("migrations"), _unknown("clock")]
    return [_of_version(facts), _of_migrations(facts), _of_clock(facts.skew_s)]


def _of_version(facts: DatabaseFacts) -> Check:
    if facts.version_num < OLDEST_POSTGRES * 10_000:
        why = f"PostgreSQL {facts.version} is too old: upgrade to {OLDEST_POSTGRES} or newer"
        return Check("database", State.FAIL, why)
    return Check("database", State.OK, f"PostgreSQL {facts.version} answers")


def _of_migrations(facts: DatabaseFacts) -> Check:
    if facts.revision == facts.head:
        return Check("migrations", State.OK, f"the tables are at {facts.head}, as they should be")
    if facts.revision is None:
        why = "there are no tables yet: run `holdfast migrate`"
    elif facts.known:
        why = f"the tables are at {facts.revision}, not at {facts.head}: run `holdfast migrate`"
    else:
        why = (
            f"the tables are at {facts.revision}, which this version does not know:"
            " install the version that made them"
        )
    return Check("migrations", State.FAIL, why)


def _of_clock(skew_s: float) -> Check:
    if abs(skew_s) > SKEW_S:
        side = "ahead of" if skew_s > 0 else "behind"
        why = f"this host is {abs(skew_s):.1f} s {side} the database: start a time service on both"
        return Check("clock", State.WARN, why)
    return Check("clock", State.OK, f"within {abs(skew_s) * 1000:.0f} ms of the database")


def _of_broker(facts: BrokerFacts | Trouble) -> Check:
    if isinstance(facts, Trouble):
        why = f"the broker does not answer ({facts.why}): start it, or mend HOLDFAST_BROKER_URL"
        return Check("broker", State.FAIL, why)
    name = f"{facts.product} (as Redis {facts.version})"
    if _numbers(facts.version) < OLDEST_REDIS:
        return Check("broker", State.FAIL, f"{name} is too old: upgrade to Redis 6.2 or newer")
    if facts.policy != "noeviction":
        why = f"it may throw messages away: set maxmemory-policy to noeviction, not {facts.policy}"
        return Check("broker", State.FAIL, f"{name}: {why}")
    if not facts.appends:
        why = "a restart forgets what is queued, and the sweep must send it again"
        return Check("broker", State.WARN, f"{name}: {why}: set appendonly to yes")
    return Check("broker", State.OK, f"{name} answers, evicts nothing and keeps a log")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def _of_store(answer: Trouble | None) -> Check:
    if isinstance(answer, Trouble):
        why = f"no object can be written and read ({answer.why}): mend HOLDFAST_STORE_URL"
        return Check("store", State.FAIL, why)
    return Check("store", State.OK, "an object was written, read and removed")


def _of_row_security(engine: EngineFacts) -> Check:
    if engine.blind:
        why = (
            "it hides every row from this database user: let the tables' owner be the user in"
            " HOLDFAST_DATABASE_URL (docs/accounts.md)"
        )
        return Check("row security", State.FAIL, why)
    if engine.row_security:
        return Check("row security", State.OK, "Postgres itself keeps projects apart, too")
    why = (
        "off, as the database's user may not make roles: see docs/accounts.md for what a"
        " superuser does once"
    )
    return Check("row security", State.WARN, why)


def _of_devices(devices: Sequence[DeviceFacts]) -> Check:
    if not devices:
        why = "there is none yet: start `holdfast worker --device NAME --type TYPE` on its node"
        return Check("devices", State.WARN, why)
    online = sum(device.online for device in devices)
    count = f"{online} of {len(devices)} online"
    away = [each.name for each in devices if not each.online and each.service == "active"]
    if away:
        why = f"{count}; start the workers of {_some(away)}, or pause these devices"
        return Check("devices", State.WARN, why)
    unused = [f"{each.name} is {each.service}" for each in devices if each.service != "active"]
    return Check("devices", State.OK, "; ".join([count, *unused]))


def _of_sweep(engine: EngineFacts) -> Check:
    if engine.swept_s is None or engine.swept_s > SWEPT_S:
        last = "never ran" if engine.swept_s is None else f"last ran {engine.swept_s:.0f} s ago"
        why = "start `holdfast beat` and `holdfast control`, and see that they reach the broker"
        return Check("sweep", State.FAIL, f"it {last}, so nothing times out or recovers: {why}")
    return Check("sweep", State.OK, f"ran {max(engine.swept_s, 0):.1f} s ago: beat is alive")


def _of_queues(engine: EngineFacts, lengths: Mapping[str, int] | Trouble) -> Check:
    waiting = ", ".join(f"{n} for {kind}" for kind, n in engine.waiting.items()) or "none"
    batches = f"batches waiting: {waiting}"
    if isinstance(lengths, Trouble):
        return Check(
            "queues", State.WARN, f"{batches}; messages: not known while the broker is away"
        )
    behind = [f"{queue} ({n})" for queue, n in lengths.items() if n > BACKLOG]
    if behind:
        why = f"too many messages wait in {_some(behind)}: see that who takes them runs"
        return Check("queues", State.WARN, f"{batches}; {why}")
    return Check("queues", State.OK, f"{batches}; messages waiting: {sum(lengths.values())}")


def _unknown(name: str) -> Check:
    return Check(name, State.WARN, "not known: mend the checks above first")


def _some(words: Sequence[str]) -> str:
    more = f" and {len(words) - 5} more" if len(words) > 5 else ""
    return ", ".join(words[:5]) + more
