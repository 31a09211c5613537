"""What a history asked of its store, call by call, and what it was told."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from orchestrator.store.transaction import Transaction
from tests.sim.memory import MemoryTransaction
from tests.sim.world import PORTS, SimCore, World


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
    kept: bool = True


class RecordedTransaction(MemoryTransaction):
    taken: Taken

    def rollback(self) -> None:
        super().rollback()
        self.taken.kept = False


class Recorder:
    """A port that writes down what it was asked."""

    def __init__(self, port: str) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        method = getattr(PORTS[self._port], name)

        def recorded(tx: Transaction, *args: Any, **options: Any) -> Any:
            assert isinstance(tx, RecordedTransaction)
            answer = method(tx, *args, **options)
            # Copied, for a caller may go on to change what it was given.
            tx.taken.calls.append(Call(self._port, name, args, options, copy(answer)))
            return answer

        return recorded


class RecordingCore(SimCore):
    tape: list[Taken]

    def transaction(self) -> RecordedTransaction:
        super().transaction()
        made = RecordedTransaction(self.world.rows, self.world.commit)
        made.taken = Taken(made.at)
        self.tape.append(made.taken)
        return made


def record(world: World) -> list[Taken]:
    """From now on, what this world asks is on the tape."""
    recorders: dict[str, Any] = {port: Recorder(port) for port in PORTS}
    core = replace(world.core, **recorders)
    object.__setattr__(core, "__class__", RecordingCore)
    assert isinstance(core, RecordingCore)
    tape: list[Taken] = []
    object.__setattr__(core, "world", world)
    object.__setattr__(core, "tape", tape)
    world.core = core
    return tape
