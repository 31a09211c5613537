"""PASQAL's own emulators: with the contract of every executor where they are installed, and
nowhere to be seen where they are not."""

import importlib.util
import math
from typing import Any

import pytest
from pulser import Pulse, Register, Sequence
from pulser.devices import MockDevice

from orchestrator.dev import DevError, parse_devices
from tests.contract.executor_contract import ExecutorContract, never
from tests.sequences import one_pulse
from workers.cli import run_worker
from workers.executors import registry
from workers.executors.base import Work
from workers.executors.emu import MatrixProductExecutor, StateVectorExecutor


class _EmuContract(ExecutorContract):
    shared = {"sequence": one_pulse(amplitude=None)}  # noqa: RUF012
    good = {"runs": 100, "variables": {"omega": 1}}  # noqa: RUF012
    bad = {"runs": 100}  # noqa: RUF012
    bad_reason = "no value for omega"
    long = {"runs": 100, "sequence": one_pulse(atoms=14, duration=6000)}  # noqa: RUF012


if "emu_sv" in registry.names():

    class TestStateVector(_EmuContract):
        executor = "emu_sv"

    def test_state_vectors_give_the_counts_of_quantum_mechanics() -> None:
        assert distance_from_exact(StateVectorExecutor()) < 0.03


if "emu_mps" in registry.names():

    class TestMatrixProduct(_EmuContract):
        executor = "emu_mps"

    def test_matrix_products_give_the_counts_of_quantum_mechanics() -> None:
        assert distance_from_exact(MatrixProductExecutor()) < 0.03


def distance_from_exact(executor: Any) -> float:
    """Total variation for two atoms out of each other's reach, one turned twice as far; with
    10,000 shots of 4 outcomes it is above 0.03 once in 10,000 times at most."""
    area = 1.0
    sequence: Any = Sequence(Register({"q0": (0, 0), "q1": (200, 0)}), MockDevice)
    sequence.declare_channel("ryd", "rydberg_global")
    sequence.declare_channel("one", "rydberg_local", initial_target="q0")
    sequence.add(Pulse.ConstantPulse(500, area / 0.5, 0, 0), "ryd")
    sequence.add(Pulse.ConstantPulse(500, area / 0.5, 0, 0), "one")
    shared = {"sequence": sequence.to_abstract_repr()}
    work = Work(batch="b", shared=shared, job="j", run=1, payload={"runs": 10_000})
    counter = executor.run(work, canceled=never)["counter"]
    first, second = math.sin(area) ** 2, math.sin(area / 2) ** 2
    exact = {
        f"{a}{b}": (first if a else 1 - first) * (second if b else 1 - second)
        for a in (0, 1)
        for b in (0, 1)
    }
    return float(sum(abs(counter.get(k, 0) / 10_000 - p) for k, p in exact.items()) / 2)


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)


@pytest.mark.usefixtures("absent")
@pytest.mark.parametrize(("kind", "package"), [("emu_sv", "emu-sv"), ("emu_mps", "emu-mps")])
def test_an_emulator_that_is_not_installed_is_not_offered(
    kind: str, package: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kind not in registry.names()
    with pytest.raises(DevError, match=f"pip install {package}"):
        parse_devices([f"x:{kind.upper()}"])
    env = {"HOLDFAST_BROKER_URL": "redis://localhost"}
    assert run_worker(device="x", type=kind.upper(), executor=kind, env=env) == 2
    said = capsys.readouterr().err.strip()
    assert f"pip install {package}" in said
    assert "\n" not in said


@pytest.mark.parametrize("name", sorted(registry.OPTIONAL))
def test_an_emulator_is_offered_if_and_only_if_it_is_installed(name: str) -> None:
    package = registry.OPTIONAL[name].replace("-", "_")
    assert (name in registry.names()) == (importlib.util.find_spec(package) is not None)
