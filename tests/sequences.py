"""Serialized Pulser sequences for tests."""

from dataclasses import replace
from typing import Any, Final

from pulser import Pulse, Sequence
from pulser.devices import AnalogDevice, MockDevice
from pulser.register.special_layouts import TriangularLatticeLayout

FRESNEL: Final = replace(AnalogDevice, name="FRESNEL")
LAYOUT: Final = TriangularLatticeLayout(n_traps=60, spacing=5)


def one_pulse(
    device: Any = MockDevice,
    *,
    amplitude: float | None = 1.0,
    duration: int = 500,
    channel: str = "rydberg_global",
    mappable: bool = False,
    atoms: int = 3,
) -> str:
    """Atoms on a layout under one square pulse; amplitude None declares the variable `omega`."""
    placed = LAYOUT.define_register(*range(20, 20 + atoms))
    register = LAYOUT.make_mappable_register(n_qubits=20) if mappable else placed
    sequence: Any = Sequence(register, device)
    sequence.declare_channel("ryd", channel)
    value = sequence.declare_variable("omega") if amplitude is None else amplitude
    sequence.add(Pulse.ConstantPulse(duration, value, 0, 0), "ryd")
    return str(sequence.to_abstract_repr())
