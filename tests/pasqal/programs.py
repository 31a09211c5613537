"""Pulser programs that the tests submit, and what an exact calculation says of them."""

import dataclasses
import math
from itertools import product
from typing import Any
from uuid import uuid4

import numpy as np
from pulser import Pulse, Register, Sequence
from pulser.backend import StateResult
from pulser.devices import AnalogDevice, MockDevice
from pulser.register.special_layouts import TriangularLatticeLayout
from pulser_simulation import QutipBackendV2, QutipConfig

Program = Sequence[Any]


def fixed(atoms: int = 2, *, amplitude: float = 2.0, duration: int = 400) -> Program:
    """A line of atoms under one global pulse, without a measurement."""
    register = Register({f"q{n}": (7.0 * n, 0.0) for n in range(atoms)})
    sequence = Sequence(register, MockDevice)
    sequence.declare_channel("rydberg", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(duration, amplitude, 0.0, 0.0), "rydberg")
    return sequence


def parametrized(atoms: int = 2) -> Program:
    """One variable: `omega_max`."""
    sequence = Sequence(Register({f"q{n}": (7.0 * n, 0.0) for n in range(atoms)}), MockDevice)
    sequence.declare_channel("rydberg", "rydberg_global")
    omega = sequence.declare_variable("omega_max")
    sequence.add(Pulse.ConstantPulse(400, omega, 0.0, 0.0), "rydberg")
    return sequence


def mappable() -> Program:
    """Seed 001's: 30 qubits on a layout of 100 traps."""
    layout = TriangularLatticeLayout(n_traps=100, spacing=5)
    sequence = Sequence(layout.make_mappable_register(n_qubits=30), MockDevice)
    sequence.declare_channel("rydberg", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(duration=100, amplitude=1, detuning=0, phase=0), "rydberg")
    return sequence


def one_sided() -> Program:
    """Only the first of two far atoms is excited: tells the order of the bits."""
    sequence = Sequence(Register({"q0": (0.0, 0.0), "q1": (60.0, 0.0)}), MockDevice)
    sequence.declare_channel("local", "rydberg_local", initial_target="q0")
    sequence.add(Pulse.ConstantPulse(200, np.pi / 0.2, 0.0, 0.0), "local")
    return sequence


def for_qpu(device: Any = None) -> Program:
    """Written for the QPU-like device: a layout, one global channel."""
    device = device or fresnel()
    layout = TriangularLatticeLayout(n_traps=61, spacing=6)
    register = layout.define_register(26, 35, qubit_ids=["q0", "q1"])
    sequence = Sequence(register, device)
    sequence.declare_channel("rydberg", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(400, 2.0, 0.0, 0.0), "rydberg")
    return sequence


def fresnel() -> Any:
    return dataclasses.replace(AnalogDevice, name="FRESNEL")


def exact(sequence: Program, **variables: Any) -> dict[str, float]:
    """Probability of each bitstring at the end, leftmost the first atom."""
    built = sequence.build(**variables) if variables else sequence
    results: Any = QutipBackendV2(built, config=QutipConfig(observables=[StateResult()])).run()
    found = results.final_state.bitstring_probabilities(one_state="r", cutoff=0)
    atoms = len(built.register.qubit_ids)
    return {bits: found.get(bits, 0.0) for bits in map("".join, product("01", repeat=atoms))}


def distance(counter: dict[str, int], probabilities: dict[str, float]) -> float:
    """Total variation between what was counted and what was to be expected."""
    shots = sum(counter.values())
    return 0.5 * sum(abs(counter.get(bits, 0) / shots - p) for bits, p in probabilities.items())


def bound(outcomes: int, shots: int, confidence: float = 1 - 1e-6) -> float:
    """What that distance stays under with this confidence: its mean is at most half the square
    root of outcomes/shots, and one shot moves it by at most 1/shots (McDiarmid)."""
    spread = math.sqrt(math.log(1 / (1 - confidence)) / (2 * shots))
    return 0.5 * math.sqrt(outcomes / shots) + spread


def unique() -> list[str]:
    """A tag that makes a call different from all others: the same bytes would be the same call."""
    return [f"test {uuid4()}"]
