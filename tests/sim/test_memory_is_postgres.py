"""The simulation is worth what its store is worth: Postgres is asked all that a history asked the
memory, in the same transactions, and must tell the same."""

from uuid import UUID

import pytest

from orchestrator.services.core import Core
from tests.integration.puppet import empty_database
from tests.sim import history, script
from tests.sim.recording import record
from tests.sim.replaying import compare, replay
from tests.sim.world import World

SEEDS = range(40)


@pytest.mark.parametrize("seed", SEEDS)
def test_postgres_tells_what_the_memory_told(core: Core, seed: int) -> None:
    world = World(ids=lambda number: UUID(int=number))
    tape = record(world)
    history.play(world, script.write(seed))
    names = replay(core, tape, world.rows.on_lost)
    compare(core, names, world.rows)


def test_the_database_is_empty_for_every_history(core: Core) -> None:
    empty_database(core)
    replay(core, [])
