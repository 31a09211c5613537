"""A whole Holdfast in one thread: the real services and the real `Execution`, everything else
simulated. What happens, and in which order, is decided by a script.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Any, Final, cast
from uuid import UUID

import redis
from sqlalchemy import Engine

from orchestrator.config import Settings
from orchestrator.domain.transitions import BATCH_ENDS
from orchestrator.errors import HoldfastError, Unavailable
from orchestrator.physics.child import Physics
from orchestrator.services.core import Core
from orchestrator.services.device import resume
from orchestrator.services.hello import hello
from orchestrator.services.settle import began, settle
from orchestrator.services.sweep import sweep
from tests.sim.broker import Broker, Message, NoStreams, SimChains, SimPermits
from tests.sim.device import Floor
from tests.sim.journal import Node
from tests.sim.memory import START, MemoryTransaction, OnCommit, Rows
from tests.sim.memory_batches import Batches, Jobs, Ledger
from tests.sim.memory_devices import Devices, Windows
from tests.sim.memory_moves import Moves, Watch
from tests.sim.worker import LEASE_S, SimWorker

SETTINGS: Final = Settings(database_url="", broker_url="", lease_s=LEASE_S, idle_timeout_s=3)
PROJECT: Final = UUID(int=1)
NO_PHYSICS: Final = Physics()
PORTS: Final[dict[str, Any]] = {
    "batches": Batches(),
    "devices": Devices(),
    "windows": Windows(),
    "jobs": Jobs(),
    "moves": Moves(),
    "watch": Watch(),
    "ledger": Ledger(),
}


class Died(BaseException):
    """The process that ran this is killed."""


class SimCore(Core):
    world: "World"

    def transaction(self) -> MemoryTransaction:
        world = self.world
        if world.intruder is not None:
            world.let_in()
        if not world.database_up:
            raise Unavailable("the database does not answer")
        return MemoryTransaction(world.rows, world.commit)


class World:
    """Two devices of a pool, the first with a standby on another node, and one device alone."""

    def __init__(self, ids: Callable[[int], Any] = "b{}".format) -> None:
        self.ids = ids
        self.broker = Broker()
        self.rows = Rows(lambda: START + timedelta(seconds=self.broker.now))
        self.floor = Floor()
        self.database_up = True
        self.trouble: str | None = None
        self.in_trouble = 0
        self.intruder: Callable[[], None] | None = None
        self.intruder_after = 0
        self.numbers = count(1)
        self.rounds = self.steps = 0
        self.revived: set[str] = set()
        self.commit: OnCommit = Commit(self)
        self.core = self._core()
        nodes = [
            Node("j1", "one", "POOL"),
            Node("j2", "two", "POOL"),
            Node("j3", "one", "POOL"),
            Node("j4", "lone", "LONE"),
        ]
        self.workers = [
            SimWorker(node, self.broker, self.floor, number) for number, node in enumerate(nodes, 1)
        ]
        self.meanwhile = 0

    def _core(self) -> Core:
        core = SimCore(
            engine=cast(Engine, None),
            permits=SimPermits(self.broker, self.others_go_on),
            chains=SimChains(self.broker),
            streams=NoStreams(cast(redis.Redis, None)),
            settings=SETTINGS,
            physics=NO_PHYSICS,
            **PORTS,
        )
        object.__setattr__(core, "world", self)
        return core

    def pass_time(self, seconds: float) -> None:
        self.broker.now += seconds

    def let_in(self) -> None:
        """Somebody else's transaction comes between two of one service."""
        self.intruder_after -= 1
        if self.intruder is not None and self.intruder_after < 0:
            intruder, self.intruder = self.intruder, None
            intruder()

    def others_go_on(self) -> None:
        """Workers do not wait for a transaction of the orchestrator."""
        while self.meanwhile:
            self.meanwhile -= 1
            self.workers[self.meanwhile % len(self.workers)].step()

    def trouble_now(self) -> str | None:
        """What befalls this commit."""
        if self.trouble is None:
            return None
        self.in_trouble -= 1
        if self.in_trouble >= 0:
            return None
        trouble, self.trouble = self.trouble, None
        return trouble

    # What the orchestrator's processes do.

    def call(self, verb: Callable[..., Any], *args: Any) -> Any:
        """As an API process or a control process does: it may die, or be told that it failed."""
        try:
            return verb(self.core, *args)
        except (Died, HoldfastError):
            return None

    def within(self, verb: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """A service in a transaction of its own; None when the caller saw no success."""
        try:
            with self.core.transaction() as tx:
                answer = verb(self.core, tx, *args, **options)
        except (Died, HoldfastError):
            return None
        return answer

    def handle(self, message: Message) -> None:
        kind, body = message
        self.call(HANDLERS[kind], body)

    def look_around(self) -> None:
        self.call(sweep)

    # The end of a history.

    def heal(self) -> None:
        self.database_up = self.broker.up = True
        self.broker.forgetful = False
        self.trouble, self.intruder, self.meanwhile = None, None, 0
        for worker in self.workers:
            worker.frozen_until = worker.deaf_until = 0.0
            worker.node.full = False
        for device in list(self.rows.devices.values()):
            self.within(resume, device.name)

    def round(self, seconds: float) -> None:
        """Everybody gets to do what there is to do, once."""
        for worker in self.workers:
            worker.tick()
        self.handle_all()
        self.look_around()
        self.steps += len(self.workers) + 1
        busy = True
        while busy:
            busy = False
            for worker in self.workers:
                for _ in range(40):
                    if not worker.step() or worker.waits():
                        break
                    busy = True
                    self.steps += 1
            busy = self.handle_all() or busy
        self.rounds += 1
        self.pass_time(seconds)

    def handle_all(self) -> bool:
        some = bool(self.broker.control)
        while self.broker.control:
            self.steps += 1
            self.handle(self.broker.control.pop(0))
        return some

    def is_over(self) -> bool:
        return all(row.status in BATCH_ENDS for row in self.rows.batches.values()) and not any(
            self.rows.of_device.values()
        )


class Commit(OnCommit):
    """A commit as troubled as the script says."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, tx: MemoryTransaction) -> None:
        trouble = self._world.trouble_now()
        if trouble in ("refused", "died before"):
            tx.rollback()
        if trouble in ("died before", "died after"):
            raise Died
        if trouble in ("refused", "answer lost"):
            raise Unavailable(f"the commit: {trouble}")
        for number, hook in enumerate(tx.hooks):
            if trouble == "died between" and number:
                raise Died
            with suppress(HoldfastError):
                hook()


HANDLERS: Final[dict[str, Callable[..., None]]] = {
    "settle": settle,
    "hello": hello,
    "began": began,
}
