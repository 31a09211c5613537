"""One molecule, one life: `python -P -m workers.executors.xtb_child` computes what its standard
input asks for, and ends.

Speaks tblite's own C interface, because its Python one imports numpy: 0.03 s a job, not 0.2 s.
"""

import json
import math
import os
import resource
import sys
from collections.abc import Sequence
from typing import Any, Final

BOHR: Final = 0.529177210903
"""Angstrom."""
MEMORY: Final = "HOLDFAST_XTB_MEMORY_MB"
"""Environment variable: what this process may take at most; 0: no limit."""
_LONGEST_MESSAGE: Final = 512


class Refused(Exception):
    """tblite's own words."""


class Molecule:
    """A molecule at one level of theory. Positions in angstrom, all else in atomic units."""

    def __init__(self, task: dict[str, Any]) -> None:
        from tblite._libtblite import ffi, lib

        self._ffi, self._lib = ffi, lib
        self._atoms = len(task["numbers"])
        self._error = lib.tblite_new_error()
        self._context = lib.tblite_new_context()
        lib.tblite_set_context_verbosity(self._context, 0)
        self._structure = lib.tblite_new_structure(
            self._error,
            self._atoms,
            ffi.new("int[]", task["numbers"]),
            self._in_bohr(task["positions"]),
            ffi.new("double *", task["charge"]),
            ffi.new("int *", task["unpaired"]),
            ffi.NULL,
            ffi.NULL,
        )
        self._check()
        levels = {
            "GFN1-xTB": lib.tblite_new_gfn1_calculator,
            "GFN2-xTB": lib.tblite_new_gfn2_calculator,
        }
        make = levels[task["level"]]
        self._calculator = make(self._context, self._structure, ffi.NULL)
        self._check()
        self._result = lib.tblite_new_result()

    def place(self, positions: Sequence[Sequence[float]]) -> None:
        """The next computation begins from the charges of the last one."""
        at = self._in_bohr(positions)
        self._lib.tblite_update_structure_geometry(self._error, self._structure, at, self._ffi.NULL)
        self._check()

    def compute(self) -> dict[str, Any]:
        """Raises Refused, for example when the charges do not become self-consistent."""
        self._lib.tblite_get_singlepoint(
            self._context, self._structure, self._calculator, self._result
        )
        self._check()
        [energy], gradient = self._read("energy", 1), self._read("gradient", 3 * self._atoms)
        if not all(map(math.isfinite, (energy, *gradient))):
            raise Refused("the energy or a force is not a finite number")
        return {
            "energy": energy,
            "gradient": [gradient[i : i + 3] for i in range(0, len(gradient), 3)],
            "dipole": self._read("dipole", 3),
            "charges": self._read("charges", self._atoms),
        }

    def _read(self, what: str, size: int) -> list[float]:
        numbers = self._ffi.new("double[]", size)
        getattr(self._lib, f"tblite_get_result_{what}")(self._error, self._result, numbers)
        self._check()
        return list(numbers)

    def _in_bohr(self, positions: Sequence[Sequence[float]]) -> Any:
        return self._ffi.new("double[]", [x / BOHR for position in positions for x in position])

    def _check(self) -> None:
        text = self._ffi.new("char[]", _LONGEST_MESSAGE)
        size = self._ffi.new("int *", _LONGEST_MESSAGE)
        if self._lib.tblite_check_error(self._error):
            self._lib.tblite_get_error(self._error, text, size)
        elif self._lib.tblite_check_context(self._context):
            self._lib.tblite_get_context_error(self._context, text, size)
        else:
            return
        raise Refused(self._ffi.string(text).decode("utf-8", "replace").strip())


def answer(task: dict[str, Any]) -> dict[str, Any]:
    try:
        molecule = Molecule(task)
        if task.get("relax") is None:
            return {"result": molecule.compute()}
        from workers.executors.relax import NotRelaxed, relax

        try:
            return {"result": relax(molecule, task["positions"], **task["relax"])}
        except NotRelaxed as failure:
            return {"failed": str(failure)}
    except Refused as failure:
        return {"failed": f"tblite: {failure}"}


def main() -> None:
    # What Fortran prints must not come between the lines of the answer.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _bound_memory(int(os.environ.get(MEMORY, "0")))
    task = json.load(sys.stdin)
    if not task:
        import tblite._libtblite

        reply: dict[str, Any] = {"here": tblite._libtblite.__name__}
    else:
        reply = answer(task)
    json.dump(reply, out)
    out.flush()
    # The interpreter would tidy up for longer than a small molecule takes.
    os._exit(0)


def _bound_memory(most_mb: int) -> None:
    """What is refused ends this process alone; what is not may end others on the machine."""
    if most_mb and sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (most_mb << 20, most_mb << 20))


if __name__ == "__main__":
    main()
