"""One history, told line by line; a failing one is made as small as it gets first."""

from collections.abc import Sequence

from tests.sim import history, script
from tests.sim.checks import check
from tests.sim.device import Violation
from tests.sim.script import Step
from tests.sim.world import World


def tell(seed: int) -> int:
    history.listen()
    steps = script.write(seed)
    wrong = history.verdict(steps)
    if wrong is None:
        print(f"seed {seed}: nothing is wrong")
    else:
        print(f"seed {seed}: {wrong}\nleaving out what does not matter ...")
        steps = history.shrink(steps)
        print(f"{len(steps)} steps are left, of which {history.verdict(steps)}\n")
    Teller().tell(steps)
    return 0 if wrong is None else 1


class Teller:
    """Prints each step, and under it what changed."""

    def __init__(self) -> None:
        self._world = World()
        self._events = 0
        self._begins = 0

    def tell(self, steps: Sequence[Step]) -> None:
        history.prepare(self._world, steps)
        try:
            for step in steps:
                script.play(self._world, step)
                self._say(f"{step.kind} {step.x:.4f}")
            self._world.heal()
            self._say("everything is healed")
            while not self._world.is_over() and self._world.rounds < history.ROUNDS:
                self._world.round(history.ROUND_S)
                self._say("everybody goes on")
            check(self._world)
        except Violation as wrong:
            self._say(f"VIOLATION: {wrong}")

    def _say(self, what: str) -> None:
        world = self._world
        print(f"{world.broker.now:8.2f} s  {what}")
        for event in world.rows.events[self._events :]:
            device = f"on {event.device}" if event.device else ""
            whose = event.job or event.batch or ""
            print(f"{'':14}{event.kind:10} {event.status or '':10} {whose} {device}")
        for began in world.floor.history[self._begins :]:
            print(f"{'':14}DEVICE {began.device} begins {began.job} run {began.run}")
        self._events = len(world.rows.events)
        self._begins = len(world.floor.history)
