"""One history: a script played, healed, drained and checked."""

import logging
from collections.abc import Sequence
from typing import Final

from tests.sim import script
from tests.sim.checks import check
from tests.sim.device import Violation
from tests.sim.script import Step
from tests.sim.world import World

ROUNDS: Final = 80
ROUND_S: Final = 4.0
HEARD: Final = ("orchestrator", "workers")


def prepare(world: World, steps: Sequence[Step]) -> None:
    """In one history of four nothing that was lost may be tried again."""
    if steps and steps[0].x > 0.75:
        world.rows.on_lost = "fail"


def play(world: World, steps: Sequence[Step]) -> None:
    """Raises `Violation`."""
    prepare(world, steps)
    for step in steps:
        script.play(world, step)
    world.heal()
    for _ in range(ROUNDS):
        world.round(ROUND_S)
        if world.is_over():
            break
    check(world)


def judge(steps: Sequence[Step]) -> tuple[str | None, int]:
    """What is wrong with this history, None when nothing is; and how many steps it had, with those
    to its end. A service that falls over is wrong, too."""
    world = World()
    try:
        play(world, steps)
    except Violation as wrong:
        return str(wrong), len(steps) + world.steps
    except Exception as wrong:
        return repr(wrong), len(steps) + world.steps
    return None, len(steps) + world.steps


def verdict(steps: Sequence[Step]) -> str | None:
    return judge(steps)[0]


def shrink(steps: Sequence[Step]) -> list[Step]:
    """The fewest steps that still break the same invariant: parts are left out, large ones first,
    until nothing can be."""
    left, wrong = list(steps), _kind(steps)
    size = len(left) // 2
    while size:
        place = 0
        while place < len(left):
            fewer = left[:place] + left[place + size :]
            if _kind(fewer) == wrong:
                left = fewer
            else:
                place += size
        size //= 2
    return left


def _kind(steps: Sequence[Step]) -> str:
    return (verdict(steps) or "").split(" ")[0]


class Surprise(logging.Handler):
    """An exception that a service logged and passed over is a finding here."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.levelno >= logging.ERROR:
            error = record.exc_info[1]
            raise Violation(f"{record.getMessage()}: {error!r}") from error


def listen() -> None:
    """Once a process."""
    for name in HEARD:
        logger = logging.getLogger(name)
        logger.setLevel(logging.ERROR)
        logger.propagate = False
        logger.handlers = [Surprise()]
