"""Molecules, and what can be asked of them. Positions in angstrom.

The server is the judge of what makes sense; nothing is checked here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from holdfast.errors import BadMolecule, NotInstalled
from holdfast.levels import GFN2_XTB

SEED: Final = 42
"""Of the 3D geometry: the same SMILES gives the same positions, on one version of RDKit."""


@dataclass(frozen=True, kw_only=True)
class Atoms:
    """A molecule. `multiplicity` is 2S + 1: 1 for a closed shell, 2 for one unpaired electron."""

    symbols: Sequence[str]
    positions: Sequence[Sequence[float]]
    charge: int = 0
    multiplicity: int = 1

    @classmethod
    def from_smiles(cls, smiles: str, *, multiplicity: int | None = None) -> Self:
        """A 3D geometry of a SMILES by RDKit: ETKDGv3, then MMFF where it knows the elements.

        The charge is the SMILES's own, and so is the multiplicity unless given. Raises BadMolecule
        where there is no such molecule or RDKit finds no geometry for it, and NotInstalled.
        """
        try:
            from rdkit import Chem, rdBase
            from rdkit.Chem.rdDistGeom import EmbedMolecule, ETKDGv3
            from rdkit.Chem.rdForceFieldHelpers import (
                MMFFHasAllMoleculeParams,
                MMFFOptimizeMolecule,
            )
        except ImportError:
            raise NotInstalled("SMILES need RDKit: pip install 'holdfast[chem]'") from None
        with rdBase.BlockLogs():
            flat: Any = Chem.MolFromSmiles(smiles)
            if flat is None or not flat.GetNumAtoms():
                raise BadMolecule(f"not a SMILES: {smiles!r}")
            molecule = Chem.AddHs(flat)
            settings: Any = ETKDGv3()
            settings.randomSeed = SEED
            if EmbedMolecule(molecule, settings) != 0:
                raise BadMolecule(f"RDKit finds no 3D geometry for {smiles!r}; give positions")
            if MMFFHasAllMoleculeParams(molecule):
                MMFFOptimizeMolecule(molecule)
        unpaired = sum(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())
        return cls(
            symbols=[atom.GetSymbol() for atom in molecule.GetAtoms()],
            positions=molecule.GetConformer().GetPositions().tolist(),
            charge=Chem.GetFormalCharge(molecule),
            multiplicity=unpaired + 1 if multiplicity is None else multiplicity,
        )

    def model_dump(self) -> dict[str, Any]:
        return {
            "symbols": list(self.symbols),
            "positions": [[float(x) for x in position] for position in self.positions],
            "charge": self.charge,
            "multiplicity": self.multiplicity,
        }


@dataclass(frozen=True, kw_only=True)
class SinglePointEnergy:
    """Energy, gradient, dipole and charges of a molecule as it stands."""

    job_type: ClassVar[str] = "single_point_energy"
    atoms: Atoms
    level_of_theory: str = GFN2_XTB
    name: str | None = None

    def model_dump(self) -> dict[str, Any]:
        """The payload that `submit_batch` takes."""
        named = {} if self.name is None else {"name": self.name}
        return {
            "job_type": self.job_type,
            "atoms": self.atoms.model_dump(),
            "level_of_theory": self.level_of_theory,
            **named,
        }


@dataclass(frozen=True)
class FreezeAtom:
    """An atom that stays where it is. Atoms count from 0."""

    atom: int

    def model_dump(self) -> dict[str, Any]:
        return {"kind": "freeze_atom", "atom": self.atom}


@dataclass(frozen=True)
class _Constrain:
    kind: ClassVar[str]
    atoms: Sequence[int]
    value: float | None = None

    def model_dump(self) -> dict[str, Any]:
        return {"kind": self.kind, "atoms": list(self.atoms), "value": self.value}


class ConstrainBond(_Constrain):
    """Two atoms, and their distance in angstrom; None keeps the one they have."""

    kind = "bond"


class ConstrainAngle(_Constrain):
    """Three atoms, the corner in the middle, and their angle in degrees."""

    kind = "angle"


class ConstrainDihedral(_Constrain):
    """Four atoms in a row, and the turn around the middle pair in degrees."""

    kind = "dihedral"


@dataclass(frozen=True, kw_only=True)
class Optimization(SinglePointEnergy):
    """The nearest geometry at rest. `fmax`: the largest force on an atom that may be left, in
    eV/angstrom. A job that needs more than `max_steps` fails."""

    job_type: ClassVar[str] = "optimization"
    constraints: Sequence[FreezeAtom | _Constrain] = ()
    fmax: float = 0.05
    max_steps: int = 250

    def model_dump(self) -> dict[str, Any]:
        return {
            **super().model_dump(),
            "constraints": [each.model_dump() for each in self.constraints],
            "fmax": self.fmax,
            "max_steps": self.max_steps,
        }
