"""tblite behind the contract of every executor: its own numbers, each job in its own process."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tblite.interface import Calculator

from schemas.chemistry import NUMBER
from tests.contract.executor_contract import ExecutorContract, never, started
from workers.executors.base import JobFailed, Work
from workers.executors.child import Broke, Stopped
from workers.executors.xtb import XtbExecutor, missing
from workers.executors.xtb_child import BOHR, Molecule, Refused

WATER: dict[str, Any] = {
    "symbols": ["O", "H", "H"],
    "positions": [[0, 0, 0.1173], [0, 0.7572, -0.4692], [0, -0.7572, -0.4692]],
}
PEROXIDE: dict[str, Any] = {
    "symbols": ["O", "O", "H", "H"],
    "positions": [[0, 0, 0], [1.45, 0, 0], [-0.3, 0.9, 0], [1.75, 0.4, 0.8]],
}
FLUORINE: dict[str, Any] = {"symbols": ["F", "F"], "positions": [[0, 0, 0], [1.4, 0, 0]]}


def grid(waters: int) -> dict[str, Any]:
    side = math.ceil(waters ** (1 / 3))
    at = [(i % side, i // side % side, i // side**2) for i in range(waters)]
    return {
        "symbols": WATER["symbols"] * waters,
        "positions": [
            [x + 3 * c for x, c in zip(position, cell, strict=True)]
            for cell in at
            for position in WATER["positions"]
        ],
    }


def energy_of(atoms: Any = WATER, **other: Any) -> dict[str, Any]:
    job = {"job_type": "single_point_energy", "atoms": atoms, "level_of_theory": "GFN2-xTB"}
    return {**job, **other}


def relaxed(atoms: Any = WATER, **other: Any) -> dict[str, Any]:
    return energy_of(atoms, **{"job_type": "optimization", "fmax": 0.01, **other})


class TestXtb(ExecutorContract):
    executor = "xtb"
    good = energy_of()
    bad = energy_of({**WATER, "charge": 1})
    bad_reason = "9 electrons cannot have multiplicity 1"
    long = energy_of(grid(125))


@pytest.fixture(scope="module")
def executor() -> XtbExecutor:
    return XtbExecutor()


def run(executor: XtbExecutor, payload: dict[str, Any]) -> dict[str, Any]:
    work = Work(batch="b", shared={}, job="j", run=1, payload=payload)
    result: dict[str, Any] = json.loads(json.dumps(executor.run(work, canceled=never)))
    return result


def reason(executor: XtbExecutor, payload: dict[str, Any]) -> str:
    with pytest.raises(JobFailed) as failed:
        run(executor, payload)
    return str(failed.value)


@pytest.mark.parametrize("level", ["GFN1-xTB", "GFN2-xTB"])
@pytest.mark.parametrize(
    "atoms",
    [
        WATER,
        PEROXIDE,
        {**WATER, "charge": 1, "multiplicity": 2},
        {"symbols": ["O"], "positions": [[0, 0, 0]], "multiplicity": 3},
    ],
    ids=["water", "peroxide", "cation", "triplet"],
)
def test_every_number_is_tblites_own(
    executor: XtbExecutor, atoms: dict[str, Any], level: str
) -> None:
    calculator = Calculator(
        level,
        np.array([NUMBER[symbol] for symbol in atoms["symbols"]]),
        np.array(atoms["positions"]) / BOHR,
        charge=atoms.get("charge", 0),
        uhf=atoms.get("multiplicity", 1) - 1,
    )
    calculator.set("verbosity", 0)
    own = calculator.singlepoint()
    result = run(executor, energy_of(atoms, level_of_theory=level))
    assert result["energy"] == pytest.approx(float(own["energy"]), abs=1e-9)
    for what in ("gradient", "dipole", "charges"):
        assert np.array(result[what]) == pytest.approx(own[what], abs=1e-7), what
    assert result["provenance"]["program"] == "tblite"


def test_a_relaxed_molecule_has_no_force_left(executor: XtbExecutor) -> None:
    result = run(executor, relaxed())
    again = run(executor, energy_of(result["atoms"]))
    assert result["steps"] > 0
    assert again["energy"] == pytest.approx(result["energy"], abs=1e-9)
    assert again["energy"] < run(executor, energy_of())["energy"]
    assert np.abs(again["gradient"]).max() < 0.01 / 51.42


def test_a_frozen_atom_does_not_move_at_all(executor: XtbExecutor) -> None:
    frozen = [{"kind": "freeze_atom", "atom": 1}]
    moved = run(executor, relaxed(constraints=frozen))["atoms"]["positions"]
    assert moved[1] == WATER["positions"][1]
    assert moved[0] != WATER["positions"][0]


def test_what_is_constrained_has_its_value_and_the_rest_relaxes(executor: XtbExecutor) -> None:
    wanted = [
        {"kind": "bond", "atoms": [0, 1], "value": 1.6},
        {"kind": "angle", "atoms": [0, 1, 3], "value": 110.0},
        {"kind": "dihedral", "atoms": [2, 0, 1, 3], "value": 175.0},
    ]
    at = run(executor, relaxed(PEROXIDE, constraints=wanted))["atoms"]["positions"]
    assert math.dist(at[0], at[1]) == pytest.approx(1.6, abs=1e-6)
    assert angle(at[0], at[1], at[3]) == pytest.approx(110, abs=1e-5)
    assert abs(dihedral(*(at[i] for i in (2, 0, 1, 3)))) == pytest.approx(175, abs=1e-5)
    assert math.dist(at[0], at[2]) == pytest.approx(0.97, abs=0.02)


def test_a_constraint_without_a_value_keeps_what_there_was(executor: XtbExecutor) -> None:
    kept = [{"kind": "bond", "atoms": [0, 1]}]
    at = run(executor, relaxed(FLUORINE, constraints=kept))["atoms"]["positions"]
    assert math.dist(*at) == pytest.approx(1.4, abs=1e-6)


def test_constraints_that_contradict_each_other_fail_the_job(executor: XtbExecutor) -> None:
    both = [{"kind": "bond", "atoms": [0, 1], "value": value} for value in (1.3, 1.5)]
    assert "cannot be met together" in reason(executor, relaxed(FLUORINE, constraints=both))


def test_a_geometry_that_does_not_converge_says_which_force_is_left(executor: XtbExecutor) -> None:
    said = reason(executor, relaxed(PEROXIDE, max_steps=1))
    assert "not converged after 1 steps" in said
    assert "eV/angstrom" in said


def test_what_tblite_refuses_is_told_in_its_words(executor: XtbExecutor) -> None:
    torn = {"symbols": ["Fe"] * 8, "positions": [[0.11 * i, 0, 0] for i in range(8)]}
    assert reason(executor, energy_of(torn)).startswith("tblite: ")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({}, "job_type"),
        (energy_of(level_of_theory="B3LYP"), "level_of_theory"),
        (energy_of({**WATER, "symbols": ["O", "H"]}), "2 symbols, but 3 positions"),
        (energy_of({**WATER, "symbols": ["O", "H", "Xx"]}), "no element from H to Rn: 'Xx'"),
        (energy_of({**WATER, "positions": [[0, 0, 0]] * 3}), "atoms 0 and 1 are at the same place"),
        (energy_of(spin=2), "spin"),
        (relaxed(constraints=[{"kind": "freeze_atom", "atom": 3}]), "the last atom is 2"),
        (relaxed(constraints=[{"kind": "angle", "atoms": [0, 1]}]), "3 different atoms"),
        (relaxed(constraints=[{"kind": "bond", "atoms": [0, 1], "value": 0}]), "from 0.2 to 100"),
        (relaxed(fmax=0), "fmax"),
    ],
)
def test_a_job_that_makes_no_sense_says_why(
    executor: XtbExecutor, payload: dict[str, Any], expected: str
) -> None:
    said = reason(executor, payload)
    assert said.startswith("Invalid job payload: ")
    assert expected in said


def test_a_molecule_past_its_wall_limit_is_killed_and_the_next_one_runs() -> None:
    executor = XtbExecutor(wall_s=0.3)
    assert reason(executor, energy_of(grid(125))) == "exceeded its wall limit of 0.3 s"
    assert run(executor, energy_of())["energy"] < 0


def test_a_molecule_that_kills_its_process_fails_alone(
    executor: XtbExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.executors.xtb._COMMAND", ("sh", "-c", "kill -SEGV $$"))
    said = reason(executor, energy_of())
    assert said.startswith("the program died (signal 11, SIGSEGV) on this molecule")


def test_a_molecule_that_needs_more_memory_than_it_may_have_fails_alone() -> None:
    said = reason(XtbExecutor(memory_mb=80, wall_s=60), energy_of(grid(333)))
    assert said == "the program died (exit code 1) on this molecule with 80 MB of memory"
    # What many threads reserve does not count.
    assert run(XtbExecutor(memory_mb=80, threads=16), relaxed())["energy"] < 0


def test_a_number_that_is_none_is_no_result() -> None:
    class Wild(Molecule):
        def _read(self, what: str, size: int) -> list[float]:
            return [math.nan if what == "gradient" else -1.0] * size

    task = {"level": "GFN2-xTB", "numbers": [1, 1], "positions": [[0, 0, 0], [0, 0, 0.7]]}
    with pytest.raises(Refused, match="not a finite number"):
        Wild({**task, "charge": 0, "unpaired": 0}).compute()


def test_a_stopped_job_leaves_no_process() -> None:
    child = started("xtb")
    try:
        assert child.ready(never)
        work = Work(batch="b", shared={}, job="j", run=1, payload=energy_of(grid(125)))
        assert child.run(work, Until(3)) == Stopped()
        assert group_of(child.pid) == []
    finally:
        child.close()


def test_an_executor_that_cannot_load_tblite_tells_each_job_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(broken_libgomp(tmp_path)))
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    child = started("xtb")
    try:
        assert child.ready(never)
        ending = child.run(Work(batch="b", shared={}, job="j", run=1, payload={}), never)
        assert isinstance(ending, Broke)
        assert "could not start" in ending.reason
    finally:
        child.close()


def test_a_machine_without_libgomp_takes_the_one_of_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(broken_libgomp(tmp_path)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert run(XtbExecutor(), energy_of())["energy"] < 0


def test_a_machine_without_any_libgomp_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(broken_libgomp(tmp_path)))
    monkeypatch.setattr("workers.executors.openmp.COPIES", "no-wheel-has-this")
    with pytest.raises(RuntimeError, match="install the system package libgomp1"):
        XtbExecutor()
    assert "libgomp1" in missing()


def broken_libgomp(folder: Path) -> Path:
    """In front of the system's own, as if there were none: the loader does not look further."""
    (folder / "libgomp.so.1").write_bytes(b"")
    return folder


class Until:
    """A tick that says stop the `n`th time."""

    def __init__(self, n: int) -> None:
        self._left = n

    def __call__(self) -> bool:
        self._left -= 1
        return self._left <= 0


def group_of(leader: int | None) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(entry.name)) == leader:
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found


def angle(a: Sequence[float], b: Sequence[float], c: Sequence[float]) -> float:
    one, other = np.subtract(a, b), np.subtract(c, b)
    cosine = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
    return math.degrees(math.acos(cosine))


def dihedral(
    a: Sequence[float], b: Sequence[float], c: Sequence[float], d: Sequence[float]
) -> float:
    axis = np.subtract(c, b) / math.dist(b, c)
    first = np.subtract(a, b) - np.subtract(a, b) @ axis * axis
    second = np.subtract(d, c) - np.subtract(d, c) @ axis * axis
    return math.degrees(math.atan2(np.cross(axis, first) @ second, first @ second))
