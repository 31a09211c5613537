"""Jobs of quantum chemistry: what is asked of a molecule, and what comes back.

Positions in angstrom; energies in hartree, gradients in hartree per bohr, dipoles in e*bohr,
charges in e.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, FailFast, Field, model_validator

_SYMBOLS: Final = """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br
    Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho
    Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn
"""
SYMBOLS: Final = tuple(_SYMBOLS.split())
NUMBER: Final = {symbol: number for number, symbol in enumerate(SYMBOLS, 1)}
MAX_ATOMS: Final = 1000
TOO_CLOSE: Final = 0.1
"""Angstrom below which two atoms are taken for one, written twice."""
FARTHEST: Final = 1e4
FEW: Final = 24
_MEASURED: Final = {
    "bond": (2, 2 * TOO_CLOSE, 100.0),
    "angle": (3, 0.0, 180.0),
    "dihedral": (4, -360.0, 360.0),
}
"""Of each thing that can be held: how many atoms, the least and the greatest value."""
# To find and describe every mistake of a thousand bad molecules would take many seconds.
_ONE_IS_ENOUGH: Final = FailFast()

Coordinate = Annotated[float, Field(strict=True, ge=-FARTHEST, le=FARTHEST, allow_inf_nan=False)]
Position = tuple[Coordinate, Coordinate, Coordinate]
Index = Annotated[int, Field(strict=True, ge=0)]
Level = Literal["GFN2-xTB", "GFN1-xTB"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class Atoms(_Strict):
    """A molecule. `multiplicity` is 2S + 1: 1 for a closed shell."""

    symbols: Annotated[list[str], Field(min_length=1, max_length=MAX_ATOMS), _ONE_IS_ENOUGH]
    positions: Annotated[list[Position], Field(min_length=1, max_length=MAX_ATOMS), _ONE_IS_ENOUGH]
    charge: Annotated[int, Field(strict=True, ge=-100, le=100)] = 0
    multiplicity: Annotated[int, Field(strict=True, ge=1, le=100)] = 1

    @model_validator(mode="after")
    def _is_a_molecule(self) -> Self:
        if len(self.positions) != len(self.symbols):
            raise ValueError(f"{len(self.symbols)} symbols, but {len(self.positions)} positions")
        unknown = sorted({s for s in self.symbols if s not in NUMBER})
        if unknown:
            raise ValueError(f"no element from H to Rn: {', '.join(map(repr, unknown[:5]))}")
        _check_electrons(self.symbols, self.charge, self.multiplicity)
        _check_apart(self.positions)
        return self


def _check_electrons(symbols: Sequence[str], charge: int, multiplicity: int) -> None:
    electrons = sum(NUMBER[symbol] for symbol in symbols) - charge
    if electrons < 1:
        raise ValueError(f"a charge of {charge} leaves no electron")
    if multiplicity > electrons + 1 or (electrons - multiplicity) % 2 == 0:
        raise ValueError(f"{electrons} electrons cannot have multiplicity {multiplicity}")


def _check_apart(positions: Sequence[Position]) -> None:
    """By cells as wide as the limit, so that it takes linear time; that costs more than to look
    at every pair of a few."""
    if len(positions) <= FEW:
        for one, other in combinations(range(len(positions)), 2):
            if math.dist(positions[one], positions[other]) < TOO_CLOSE:
                raise ValueError(f"atoms {one} and {other} are at the same place")
        return
    cells: dict[tuple[int, int, int], list[int]] = {}
    for index, (x, y, z) in enumerate(positions):
        at = (math.floor(x / TOO_CLOSE), math.floor(y / TOO_CLOSE), math.floor(z / TOO_CLOSE))
        for other in _near(cells, at):
            if math.dist(positions[index], positions[other]) < TOO_CLOSE:
                raise ValueError(f"atoms {other} and {index} are at the same place")
        cells.setdefault(at, []).append(index)


def _near(cells: dict[tuple[int, int, int], list[int]], at: tuple[int, int, int]) -> list[int]:
    x, y, z = at
    return [
        index
        for i in (x - 1, x, x + 1)
        for j in (y - 1, y, y + 1)
        for k in (z - 1, z, z + 1)
        for index in cells.get((i, j, k), ())
    ]


class _Job(_Strict):
    atoms: Atoms
    level_of_theory: Level
    name: Annotated[str, Field(min_length=1, max_length=120)] | None = None


class SinglePointEnergy(_Job):
    job_type: Literal["single_point_energy"] = "single_point_energy"


class FreezeAtom(_Strict):
    kind: Literal["freeze_atom"] = "freeze_atom"
    atom: Index


class Constrain(_Strict):
    """Holds a bond (2 atoms, angstrom), an angle (3) or a dihedral (4, degrees) at `value`, or
    where it is. Atoms count from 0."""

    kind: Literal["bond", "angle", "dihedral"]
    atoms: Annotated[list[Index], Field(min_length=2, max_length=4)]
    value: float | None = None

    @model_validator(mode="after")
    def _can_be_measured(self) -> Self:
        wanted, least, most = _MEASURED[self.kind]
        if len(set(self.atoms)) != len(self.atoms) or len(self.atoms) != wanted:
            raise ValueError(f"a {self.kind} needs {wanted} different atoms")
        if self.value is not None and not least <= self.value <= most:
            raise ValueError(f"the value of a {self.kind} is from {least:g} to {most:g}")
        return self


class Optimization(_Job):
    """`fmax`: the largest force on an atom that may be left, in eV/angstrom."""

    job_type: Literal["optimization"] = "optimization"
    constraints: Annotated[
        list[Annotated[FreezeAtom | Constrain, Field(discriminator="kind")]],
        Field(max_length=MAX_ATOMS),
        _ONE_IS_ENOUGH,
    ] = []
    fmax: Annotated[float, Field(gt=0, le=10)] = 0.05
    max_steps: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 250

    @model_validator(mode="after")
    def _constrains_its_own_atoms(self) -> Self:
        last = len(self.atoms.symbols) - 1
        for each in self.constraints:
            atoms = [each.atom] if isinstance(each, FreezeAtom) else each.atoms
            if max(atoms) > last:
                raise ValueError(f"a constraint on atom {max(atoms)}; the last atom is {last}")
        return self


ChemistryJob = Annotated[SinglePointEnergy | Optimization, Field(discriminator="job_type")]
JOB_TYPES: Final = ("single_point_energy", "optimization")
CONSTRAINTS: Final = ("freeze_atom", "bond", "angle", "dihedral")
