"""Moves a molecule's atoms to where no force is left: L-BFGS in Cartesian coordinates.

Frozen atoms do not move at all. A bond, an angle or a dihedral is held exactly: its share is
taken out of every force and step, and what the curvature leaves is put right by Newton's method.
Angstrom and eV in here.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from workers.executors.xtb_child import BOHR

Array = NDArray[np.float64]

HARTREE: Final = 27.211386245988
"""Electronvolt."""
STIFFNESS: Final = 70.0
"""eV/angstrom^2: the curvature that is assumed before any is known, about that of a bond."""
LONGEST_STEP: Final = 0.2
MEMORY: Final = 50
HELD_TO: Final = 1e-9
"""Angstrom or radians."""
_NUDGE: Final = 1e-5


class NotRelaxed(Exception):
    pass


class Surface(Protocol):
    """Positions in angstrom; `energy` and `gradient` of the answer in atomic units."""

    def place(self, positions: Sequence[Sequence[float]]) -> None: ...
    def compute(self) -> dict[str, Any]: ...


def relax(
    surface: Surface,
    positions: Sequence[Sequence[float]],
    *,
    fmax: float,
    max_steps: int,
    frozen: Sequence[int] = (),
    held: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """What the surface computes at the end, with `positions` and `steps`. Raises NotRelaxed."""
    bonds = Bonds(frozen, held, np.array(positions, dtype=float))
    x, path = bonds.settled(np.array(positions, dtype=float)), Path()
    largest = math.inf
    for step in range(max_steps + 1):
        surface.place(x.tolist())
        found = surface.compute()
        force = bonds.free(x, -np.array(found["gradient"]) * HARTREE / BOHR)
        largest = float(np.linalg.norm(force, axis=1).max())
        if largest <= fmax:
            return {**found, "positions": x.tolist(), "steps": step}
        x = bonds.settled(x + bonds.free(x, path.next(x, force)))
    raise NotRelaxed(
        f"not converged after {max_steps} steps: the largest force is still {largest:.4g}"
        f" eV/angstrom, above fmax {fmax:g}; raise max_steps or start from the last geometry"
    )


class Path:
    """Where it has been, and so how the surface curves."""

    def __init__(self) -> None:
        self._last: tuple[Array, Array] | None = None
        self._pairs: deque[tuple[Array, Array]] = deque(maxlen=MEMORY)

    def next(self, x: Array, force: Array) -> Array:
        self._remember(x, force)
        step = self._newton(force)
        if float(np.vdot(step, force)) <= 0:
            # Uphill by a curvature that was true elsewhere.
            self._pairs.clear()
            step = force / STIFFNESS
        longest = float(np.linalg.norm(step, axis=1).max())
        return step * min(1.0, LONGEST_STEP / longest)

    def _remember(self, x: Array, force: Array) -> None:
        if self._last is not None:
            moved, changed = x - self._last[0], self._last[1] - force
            if float(np.vdot(moved, changed)) > 1e-12:
                self._pairs.append((moved, changed))
        self._last = (x, force)

    def _newton(self, force: Array) -> Array:
        """The two loops of L-BFGS."""
        step, weights = force.copy(), []
        for moved, changed in reversed(self._pairs):
            weight = np.vdot(moved, step) / np.vdot(moved, changed)
            weights.append(weight)
            step -= weight * changed
        step /= STIFFNESS
        for (moved, changed), weight in zip(self._pairs, reversed(weights), strict=True):
            step += moved * (weight - np.vdot(changed, step) / np.vdot(moved, changed))
        return step


class Bonds:
    """What must stay as it is."""

    def __init__(
        self, frozen: Sequence[int], held: Sequence[Mapping[str, Any]], start: Array
    ) -> None:
        self._movable = np.ones((len(start), 1))
        self._movable[list(frozen)] = 0.0
        self._held = [(each["atoms"], MEASURES[each["kind"]]) for each in held]
        self._targets = [
            measure(start[atoms]) if each["value"] is None else _inner(each["kind"], each["value"])
            for each, (atoms, measure) in zip(held, self._held, strict=True)
        ]

    def free(self, x: Array, vector: Array) -> Array:
        """`vector` without what would break a bond."""
        vector = vector * self._movable
        if not self._held:
            return vector
        slopes = self._slopes(x)
        share = np.linalg.lstsq(slopes.T, vector.ravel(), rcond=None)[0]
        return vector - (slopes.T @ share).reshape(vector.shape)

    def settled(self, x: Array) -> Array:
        """The nearest place where all is as it must be. Raises NotRelaxed if there is none."""
        for _ in range(200):
            off = self._off(x)
            if not self._held or np.abs(off).max() < HELD_TO:
                return x
            step = np.linalg.lstsq(self._slopes(x), off, rcond=None)[0].reshape(x.shape)
            longest = float(np.linalg.norm(step, axis=1).max())
            x = x + step * min(1.0, LONGEST_STEP / max(longest, 1e-300))
        raise NotRelaxed("the constraints cannot be met together from this geometry")

    def _off(self, x: Array) -> Array:
        pairs = zip(self._held, self._targets, strict=True)
        return np.array(
            [_turn(target - measure(x[atoms]), measure) for (atoms, measure), target in pairs]
        )

    def _slopes(self, x: Array) -> Array:
        rows = np.zeros((len(self._held), *x.shape))
        for row, (atoms, measure) in zip(rows, self._held, strict=True):
            at = x[atoms]
            for place in np.ndindex(at.shape):
                near, far = at.copy(), at.copy()
                near[place] -= _NUDGE
                far[place] += _NUDGE
                slope = _turn(measure(far) - measure(near), measure) / (2 * _NUDGE)
                row[atoms[place[0]], place[1]] = slope
        return (rows * self._movable).reshape(len(rows), -1)


def _length(at: Array) -> float:
    return float(np.linalg.norm(at[1] - at[0]))


def _angle(at: Array) -> float:
    one, other = at[0] - at[1], at[2] - at[1]
    return math.atan2(float(np.linalg.norm(np.cross(one, other))), float(one @ other))


def _dihedral(at: Array) -> float:
    before, axis, after = at[1] - at[0], at[2] - at[1], at[3] - at[2]
    left, right = np.cross(before, axis), np.cross(axis, after)
    return math.atan2(float(np.linalg.norm(axis) * (before @ right)), float(left @ right))


Measure = Callable[[Array], float]
MEASURES: Final[dict[str, Measure]] = {"bond": _length, "angle": _angle, "dihedral": _dihedral}


def _inner(kind: str, value: float) -> float:
    return value if kind == "bond" else math.radians(value)


def _turn(difference: float, measure: Measure) -> float:
    """179 and -179 degrees are 2 apart."""
    return math.remainder(difference, math.tau) if measure is _dihedral else difference
