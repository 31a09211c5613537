"""What these programs run."""

# mypy: ignore-errors

from pulser import Pulse, Register, Sequence
from pulser.devices import MockDevice
from pulser.register.special_layouts import TriangularLatticeLayout


def pulsed(register, device=MockDevice, amplitude=2.0):
    """One global pulse of 400 ns, without a measurement."""
    sequence = Sequence(register, device)
    sequence.declare_channel("rydberg", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(400, amplitude, 0.0, 0.0), "rydberg")
    return sequence


def pair():
    return Register({"q0": (0.0, 0.0), "q1": (7.0, 0.0)})


def parametrized(register, device=MockDevice):
    """One variable: `omega_max`."""
    sequence = Sequence(register, device)
    sequence.declare_channel("rydberg", "rydberg_global")
    omega = sequence.declare_variable("omega_max")
    sequence.add(Pulse.ConstantPulse(400, omega, 0.0, 0.0), "rydberg")
    return sequence


def laid_out():
    """Two atoms of a layout, as a QPU wants them."""
    layout = TriangularLatticeLayout(n_traps=61, spacing=6)
    return layout.define_register(26, 35, qubit_ids=["q0", "q1"])


def mappable(device=MockDevice):
    layout = TriangularLatticeLayout(n_traps=100, spacing=5)
    sequence = Sequence(layout.make_mappable_register(n_qubits=30), device)
    sequence.declare_channel("rydberg", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(duration=100, amplitude=1, detuning=0, phase=0), "rydberg")
    return sequence
