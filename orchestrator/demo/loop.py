"""The classical half: proposes sweeps, reads the counts, proposes better ones.

Cross-entropy: each round is drawn from a normal distribution that then moves and shrinks
towards its best points. It bears shot noise, and a round of several jobs costs one wait.
"""

import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from orchestrator.demo.problem import BOUNDS, Variables, ground_share, mean_energy, to_variables

ROUNDS: Final = 10
PER_ROUND: Final = 6
_ELITE: Final = 5
_FIRST_WIDTH: Final = 0.35
_LEAST_WIDTH: Final = 0.015
_KEEP: Final = 0.4
"""How much of the old distribution survives a round."""

Point = dict[str, float]


class Backend(Protocol):
    """The device, as the optimiser sees it."""

    def evaluate(self, variables: list[Variables]) -> list[Mapping[str, int]]:
        """The counts of one job for each, in order."""
        ...


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One job of the loop; `energy` in rad/us, `share` of shots in a ground state."""

    number: int
    round: int
    point: Point
    energy: float
    share: float
    counts: Mapping[str, int]


def minimise(
    backend: Backend, *, seed: int = 11, on_round: Callable[[list[Trial]], None] = lambda _: None
) -> list[Trial]:
    """Every trial in order. `on_round` sees all of them so far after each round."""
    random_numbers = random.Random(seed)
    centre = {name: (low + high) / 2 for name, (low, high) in BOUNDS.items()}
    width = {name: _FIRST_WIDTH * (high - low) for name, (low, high) in BOUNDS.items()}
    trials: list[Trial] = []
    for round_number in range(1, ROUNDS + 1):
        points = [_draw(centre, width, random_numbers) for _ in range(PER_ROUND)]
        found = backend.evaluate([to_variables(point) for point in points])
        for point, counts in zip(points, found, strict=True):
            trials.append(_trial(len(trials) + 1, round_number, point, counts))
        centre, width = _move(centre, width, trials)
        on_round(trials)
    return trials


def best(trials: list[Trial]) -> Trial:
    return min(trials, key=lambda trial: trial.energy)


def _trial(number: int, round_number: int, point: Point, counts: Mapping[str, int]) -> Trial:
    return Trial(
        number=number,
        round=round_number,
        point=point,
        energy=mean_energy(counts),
        share=ground_share(counts),
        counts=counts,
    )


def _draw(centre: Point, width: Point, random_numbers: random.Random) -> Point:
    drawn = {name: random_numbers.gauss(centre[name], width[name]) for name in BOUNDS}
    return {n: min(max(drawn[n], low), high) for n, (low, high) in BOUNDS.items()}


def _move(centre: Point, width: Point, trials: list[Trial]) -> tuple[Point, Point]:
    """Towards the best trials so far, of whatever round."""
    elite = sorted(trials, key=lambda trial: trial.energy)[: min(_ELITE, len(trials) // 2)]
    moved, shrunk = {}, {}
    for name, (low, high) in BOUNDS.items():
        values = [trial.point[name] for trial in elite]
        spread = max(statistics.pstdev(values), _LEAST_WIDTH * (high - low))
        moved[name] = _KEEP * centre[name] + (1 - _KEEP) * statistics.fmean(values)
        shrunk[name] = _KEEP * width[name] + (1 - _KEEP) * spread
    return moved, shrunk
