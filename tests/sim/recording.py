"""What a history asked of its store, call by call, and what it was told: to be asked of Postgres
again, which must tell the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from orchestrator.services.core import Core
from orchestrator.store.transaction import Transaction
from tests.sim.memory import MemoryTransaction, rows_of
from tests.sim.world import PORTS, SimCore, World

# Whatever order Postgres finds them in, these are sets to their callers.
UNORDERED: Final = frozenset({"preemptible", "due", "silent"})


@dataclass(frozen=True)
class Call:
    port: str
    name: str
    args: tuple[Any, ...]
    options: Mapping[str, Any]
    answer: Any


@dataclass
class Taken:
    """One transaction. `kept`: it was committed, whatever its caller was told."""

    at: datetime
    calls: list[Call] = field(default_factory=list)
    kept: bool = False


class Recorder:
    """A port that remembers what it was asked."""

    def __init__(self, port: str, tape: list[Taken]) -> None:
        self._port = port
        self._tape = tape

    def __getattr__(self, name: str) -> Any:
        method = getattr(PORTS[self._port], name)

        def recorded(tx: Transaction, *args: Any, **options: Any) -> Any:
            answer = method(tx, *args, **options)
            self._tape[-1].calls.append(Call(self._port, name, args, options, answer))
            return answer

        return recorded


class RecordedTransaction(MemoryTransaction):
    taken: Taken

    def rollback(self) -> None:
        super().rollback()
        self.taken.kept = False


class RecordingCore(SimCore):
    tape: list[Taken]

    def transaction(self) -> RecordedTransaction:
        plain = super().transaction()
        plain.__class__ = RecordedTransaction
        assert isinstance(plain, RecordedTransaction)
        plain.taken = Taken(plain.at, kept=True)
        self.tape.append(plain.taken)
        return plain


def record(world: World) -> list[Taken]:
    """From now on, what this world asks is on the tape."""
    tape: list[Taken] = []
    core = world.core
    recording = RecordingCore(
        **{
            name: getattr(core, name)
            for name in Core.__dataclass_fields__
            if name not in PORTS
        },
        **{port: Recorder(port, tape) for port in PORTS},  # type: ignore[arg-type]
    )
    object.__setattr__(recording, "world", world)
    object.__setattr__(recording, "tape", tape)
    world.core = recording
    return tape


def names_in(answer: Any) -> Any:
    """An answer as plain data: rows become the tuples that they are."""
    if isinstance(answer, Mapping):
        return {key: names_in(value) for key, value in answer.items()}
    if isinstance(answer, Sequence) and not isinstance(answer, str):
        return tuple(names_in(value) for value in answer)
    return answer


__all__ = ["Call", "Taken", "names_in", "record", "rows_of"]
