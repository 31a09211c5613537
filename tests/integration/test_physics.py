"""The checker's process: what it finds, and what comes of its ends."""

import json
import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pulser.backend import BitStrings, EmulationConfig
from pulser.devices import AnalogDevice, MockDevice

from orchestrator.physics.builtin import defaults
from orchestrator.physics.child import Limits, Physics
from orchestrator.physics.question import Question
from tests.integration.worker_stack import lives
from tests.sequences import FRESNEL, one_pulse
from tests.waiting import until


@contextmanager
def checker(**limits: Any) -> Iterator[Physics]:
    made = Physics(Limits(**limits))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def physics() -> Iterator[Physics]:
    with checker() as made:
        yield made


def question(sequence: str | None = None, *jobs: Any, kind: str = "EMU_FREE") -> Question:
    listed: Any = [{"at": f"jobs[{n}]", **job} for n, job in enumerate(jobs)]
    return {
        "device_type": kind,
        "spec": defaults(kind, "pulser").spec,
        "sequence": sequence,
        "jobs": listed,
    }


def turn(omega: float) -> dict[str, Any]:
    return {"variables": {"omega": omega}}


def said(physics: Physics, asked: Question) -> str:
    return "\n".join(f"{flaw.field}: {flaw.message}" for flaw in physics.check(asked))


def pid_of(physics: Physics) -> int:
    assert physics.pid is not None
    return physics.pid


def bomb() -> str:
    """A pulse of a second: 8 GB of samples."""
    return one_pulse().replace('"duration": 500', '"duration": 1000000000')


@pytest.mark.parametrize("device", [MockDevice, AnalogDevice, FRESNEL])
def test_an_emulator_takes_a_sequence_for_any_device(physics: Physics, device: Any) -> None:
    assert said(physics, question(one_pulse(device))) == ""


@pytest.mark.parametrize("device", [FRESNEL, AnalogDevice])
def test_a_processor_takes_what_plays_the_same_on_it(physics: Physics, device: Any) -> None:
    assert said(physics, question(one_pulse(device), kind="FRESNEL")) == ""


NOT_FOR_FRESNEL = [
    ({}, "different Rydberg levels"),
    ({"level": 60, "amplitude": 100}, "amplitude goes over the maximum"),
    ({"level": 60, "duration": 10_000}, "maximum duration allowed by the device"),
    ({"level": 60, "channel": "raman_global"}, "No match for channel 'ryd'"),
]


@pytest.mark.parametrize(("made", "reason"), NOT_FOR_FRESNEL)
def test_a_processor_refuses_what_does_not_fit(
    physics: Physics, made: dict[str, Any], reason: str
) -> None:
    written_for = replace(MockDevice, rydberg_level=made.pop("level", 70))
    found = said(physics, question(one_pulse(written_for, **made), kind="FRESNEL"))
    assert found.startswith("sequence: was written for MockDevice and does not fit FRESNEL")
    assert reason in found


def test_each_job_is_built_with_its_own_variables(physics: Physics) -> None:
    sequence = one_pulse(FRESNEL, amplitude=None)
    asked = question(sequence, turn(1), turn(1000), turn(2), turn(-1), kind="FRESNEL")
    assert [flaw.field for flaw in physics.check(asked)] == [
        "jobs[1].variables.omega",
        "jobs[3].variables.omega",
    ]


def test_the_atoms_of_each_job_have_to_fit(physics: Physics) -> None:
    sequence = one_pulse(FRESNEL, mappable=True)
    good, far = {"qubits": {"q0": 20, "q1": 21}}, {"qubits": {"q0": 99}}
    asked = question(sequence, {"variables": good}, {"variables": far}, kind="FRESNEL")
    (flaw,) = physics.check(asked)
    assert flaw.field == "jobs[1].variables"


def test_a_jobs_own_sequence_is_checked_at_its_place(physics: Physics) -> None:
    own = {"variables": {}, "sequence": one_pulse().replace('"op": "pulse"', '"op": "nope"')}
    (flaw,) = physics.check(question(one_pulse(), own))
    assert flaw.field == "jobs[0].sequence"
    assert "'pulse' was expected" in flaw.message


def test_a_config_is_checked_without_the_keys_of_other_emulators(physics: Physics) -> None:
    asked = question(one_pulse())
    config = json.loads(EmulationConfig(observables=[BitStrings()]).to_abstract_repr())
    asked["config"] = json.dumps({**config, "num_gpus_to_use": 1, "autosave_dt": math.inf})
    assert said(physics, asked) == ""
    asked["config"] = json.dumps({**config, "observables": [{"observable": "none"}]})
    assert said(physics, asked).startswith("payload.backend_configuration: is no EmulationConfig")


def test_only_the_first_flaws_are_told(physics: Physics) -> None:
    sequence = one_pulse(FRESNEL, amplitude=None)
    asked = question(sequence, *[turn(1000)] * 100, kind="FRESNEL")
    assert len(physics.check(asked)) == 20


def test_nothing_runs_until_something_is_asked() -> None:
    with checker() as physics:
        assert physics.pid is None


def test_a_checker_that_was_killed_is_replaced() -> None:
    with checker() as physics:
        assert said(physics, question(one_pulse())) == ""
        os.kill(pid_of(physics), signal.SIGKILL)
        assert said(physics, question(one_pulse(FRESNEL))) == ""


def test_a_sequence_that_takes_too_long_is_refused_and_the_next_one_is_not() -> None:
    with checker(check_s=1) as physics:
        assert said(physics, question(one_pulse())) == ""
        stuck = pid_of(physics)
        os.kill(stuck, signal.SIGSTOP)
        assert said(physics, question(one_pulse())).startswith("sequence: takes more than 1 s")
        assert not lives(stuck)
        assert said(physics, question(one_pulse())) == ""


def test_a_sequence_that_takes_all_memory_is_refused_and_the_next_one_is_not() -> None:
    with checker() as physics:
        assert "needs more than 1024 MiB to be checked" in said(physics, question(bomb()))
        assert said(physics, question(one_pulse())) == ""


def test_whoever_waits_too_long_for_the_checker_is_let_through() -> None:
    with checker(check_s=2, wait_s=0.01) as physics:
        physics.check(question(one_pulse()))
        os.kill(pid_of(physics), signal.SIGSTOP)
        first = threading.Thread(target=physics.check, args=(question(one_pulse()),))
        first.start()
        until(physics._turn.locked)
        assert said(physics, question(bomb())) == ""
        first.join()


def test_an_idle_checker_ends_and_a_new_one_answers() -> None:
    with checker(idle_s=0.5) as physics:
        physics.check(question(one_pulse()))
        first = pid_of(physics)
        until(lambda: not lives(first))
        assert "pulse' was expected" in said(
            physics, question(one_pulse().replace('"op": "pulse"', '"op": "nope"'))
        )


def test_closing_ends_the_checker() -> None:
    with checker() as physics:
        physics.check(question(one_pulse()))
        pid = pid_of(physics)
    assert not lives(pid)


def pulser_that(does: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pulser.py").write_text(does)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_without_pulser_everything_is_let_through_and_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pulser_that("raise ImportError('none here')", tmp_path, monkeypatch)
    with checker() as physics:
        assert [said(physics, question(bomb())) for _ in range(2)] == ["", ""]
        assert physics.pid is None
    assert [record.message for record in caplog.records] == [
        "no physics check at submission, Pulser is not installed: none here"
    ]


def test_a_checker_that_does_not_start_in_time_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulser_that("import time; time.sleep(100)", tmp_path, monkeypatch)
    with checker(start_s=0.5, give_up_s=0.1) as physics:
        assert said(physics, question(bomb())) == ""
        assert physics.pid is None


def test_a_checker_that_starts_slowly_answers_later_questions() -> None:
    with checker(start_s=0.01) as physics:
        assert said(physics, question(bomb())) == ""
        first = pid_of(physics)
        until(lambda: said(physics, question(bomb())), 30)
        assert pid_of(physics) == first


def test_the_checker_is_told_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", "postgresql://user:secret@host/name")
    with checker() as physics:
        physics.check(question(one_pulse()))
        told = Path(f"/proc/{pid_of(physics)}/environ").read_bytes()
    assert b"secret" not in told
