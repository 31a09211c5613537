"""The Pulser executor in the place of a processor, and what a sequence leaves unsaid."""

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from pulser import Pulse, Register, Sequence
from pulser.backend import BitStrings, EmulationConfig, Occupation
from pulser.devices import AnalogDevice, MockDevice

from tests.contract.executor_contract import ExecutorContract, never, started
from tests.sequences import LAYOUT, one_pulse
from workers.executors.base import Work
from workers.executors.child import Broke, Returned, Stopped
from workers.executors.pulser import PulserExecutor


class TestPulser(ExecutorContract):
    executor = "pulser"
    shared = {"sequence": one_pulse(amplitude=None)}  # noqa: RUF012
    good = {"runs": 100, "variables": {"omega": 1}}  # noqa: RUF012
    bad = {"runs": 100}  # noqa: RUF012
    bad_reason = "no value for omega"
    long = {"runs": 100, "sequence": one_pulse(atoms=14, duration=4000)}  # noqa: RUF012


def run(executor: PulserExecutor, sequence: str, **payload: Any) -> dict[str, Any]:
    shared = {"sequence": sequence, **payload.pop("shared", {})}
    work = Work(batch=str(hash(sequence)), shared=shared, job="j", run=1, payload=payload)
    return executor.run(work, canceled=never)


def two_bases(measured: str | None) -> str:
    """A Rydberg pi pulse on both atoms, then a Raman pulse that finds neither in its basis."""
    sequence: Any = Sequence(Register({"q0": (0, 0), "q1": (40, 0)}), MockDevice)
    sequence.declare_channel("ryd", "rydberg_global")
    sequence.declare_channel("ram", "raman_local", initial_target="q0")
    sequence.add(Pulse.ConstantPulse(500, 2 * math.pi, 0, 0), "ryd")
    sequence.add(Pulse.ConstantPulse(500, math.pi, 0, 0), "ram")
    if measured:
        sequence.measure(measured)
    return str(sequence.to_abstract_repr())


def test_a_sequence_without_a_measurement_is_measured_in_ground_rydberg() -> None:
    executor = PulserExecutor()
    for measured in (None, "ground-rydberg"):
        assert run(executor, two_bases(measured), runs=100)["counter"].get("11", 0) > 90
    assert run(executor, two_bases("digital"), runs=100)["counter"] == {"00": 100}


def short_pulse() -> str:
    """52 ns on a channel with a bandwidth of 8 MHz, from which it comes out longer."""
    sequence: Any = Sequence(LAYOUT.define_register(30), AnalogDevice)
    sequence.declare_channel("ryd", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(52, 10, 0, 0), "ryd")
    return str(sequence.to_abstract_repr())


def test_with_modulation_the_pulses_are_those_that_the_channel_lets_through() -> None:
    plain = run(PulserExecutor(), short_pulse(), runs=10)
    config: Any = EmulationConfig(observables=[Occupation()], with_modulation=True)
    asked = run(
        PulserExecutor(), short_pulse(), runs=10, shared={"config": config.to_abstract_repr()}
    )
    device = run(PulserExecutor(modulation=True), short_pulse(), runs=10)
    assert plain["total_duration"] < device["total_duration"] == asked["total_duration"]


def test_a_config_does_not_switch_a_devices_modulation_off() -> None:
    config: Any = EmulationConfig(observables=[BitStrings()], with_modulation=False)
    shared = {"config": config.to_abstract_repr()}
    executor = PulserExecutor(modulation=True)
    device = run(executor, short_pulse(), runs=10)
    assert (
        run(executor, short_pulse(), runs=10, shared=shared)["total_duration"]
        == (device["total_duration"])
    )


def ended(options: Mapping[str, Any], runs: int, tick: Any = never) -> Any:
    child = started("pulser", options=options)
    try:
        assert child.ready(never)
        shared = {"sequence": one_pulse()}
        return child.run(
            Work(batch="b", shared=shared, job="j", run=1, payload={"runs": runs}), tick
        )
    finally:
        child.close()


def test_a_job_takes_as_long_as_its_shots_take_on_the_device() -> None:
    began = time.monotonic()
    assert isinstance(ended({"shot_s": 0.01}, 150), Returned)
    assert time.monotonic() - began >= 1.5


def test_a_job_that_waits_for_its_shots_can_be_stopped() -> None:
    assert ended({"shot_s": 1000}, 1000, lambda: True) == Stopped()


def test_an_executor_is_told_its_options() -> None:
    ending = ended({"max_qubits": 2}, 10)
    assert isinstance(ending, Broke)
    assert "3 atoms are too many: this device runs up to 2" in ending.reason


@pytest.mark.parametrize("area", [0.5, 1.5, 3.0])
def test_the_counts_are_those_of_quantum_mechanics(area: float) -> None:
    """Atoms out of each other's reach, each excited with sin²(area/2). With 10,000 shots of 4
    outcomes a total variation above 0.03 comes once in 10,000 times at most."""
    sequence: Any = Sequence(Register({"q0": (0, 0), "q1": (200, 0)}), MockDevice)
    sequence.declare_channel("ryd", "rydberg_global")
    sequence.declare_channel("one", "rydberg_local", initial_target="q0")
    sequence.add(Pulse.ConstantPulse(500, area / 0.5, 0, 0), "ryd")
    sequence.add(Pulse.ConstantPulse(500, area / 0.5, 0, 0), "one")
    counter = run(PulserExecutor(), sequence.to_abstract_repr(), runs=10_000)["counter"]
    first, second = np.sin(area) ** 2, np.sin(area / 2) ** 2
    exact = {
        f"{a}{b}": (first if a else 1 - first) * (second if b else 1 - second)
        for a in (0, 1)
        for b in (0, 1)
    }
    assert sum(abs(counter.get(k, 0) / 10_000 - p) for k, p in exact.items()) / 2 < 0.03
