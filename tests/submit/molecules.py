"""Molecules for the door, and what tblite itself says of them."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
from holdfast import Atoms, SinglePointEnergy
from tblite.interface import Calculator

from schemas.chemistry import NUMBER
from workers.executors.xtb_child import BOHR

WATER = ((0.0, 0.0, 0.1173), (0.0, 0.7572, -0.4692), (0.0, -0.7572, -0.4692))


def clusters(count: int, seed: int) -> list[SinglePointEnergy]:
    """Water, one or two of it, each a little different; the same for the same seed."""
    shaken = random.Random(seed)
    return [
        SinglePointEnergy(atoms=_cluster(1 + number % 2, shaken), name=f"cluster {number}")
        for number in range(count)
    ]


def _cluster(waters: int, shaken: random.Random) -> Atoms:
    return Atoms(
        symbols=["O", "H", "H"] * waters,
        positions=[
            [x + shaken.uniform(-0.05, 0.05), y + shaken.uniform(-0.05, 0.05), z + 3.0 * number]
            for number in range(waters)
            for x, y, z in WATER
        ],
    )


def own_energy(atoms: Mapping[str, Any], level: str = "GFN2-xTB") -> float:
    calculator = Calculator(
        level,
        np.array([NUMBER[symbol] for symbol in atoms["symbols"]]),
        np.array(atoms["positions"]) / BOHR,
        charge=atoms["charge"],
        uhf=atoms["multiplicity"] - 1,
    )
    calculator.set("verbosity", 0)
    return float(calculator.singlepoint()["energy"])
