"""Six atoms on a ring: which of them are excited in the ground state?

The energy is that of Rydberg atoms after the laser's coupling has gone, in rad/us:
H = -DETUNING * sum_i n_i + sum_{i<j} C6 / r_ij^6 * n_i n_j. It is diagonal in what is measured,
so counts give it without any further circuit, and all 64 bitstrings give the exact answer.
"""

import math
from collections.abc import Mapping
from itertools import combinations, product
from typing import Any, Final

ATOMS: Final = 6
SPACING: Final = 7.0
"""um between neighbours."""
DETUNING: Final = 8.0
"""rad/us."""
C6: Final = 5420158.53
"""rad/us * um^6, of the 70S level of rubidium: the one of Pulser's MockDevice."""
DURATION: Final = 1500
"""ns. Too short to follow the ground state slowly: the shape of the sweep has to be found."""

Variables = dict[str, Any]
BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "omega_max": (2.0, 12.0),
    "delta_start": (-16.0, -1.0),
    "delta_middle": (-4.0, 8.0),
    "delta_end": (1.0, 20.0),
}
"""The four knobs of the sweep, in rad/us."""


def positions() -> dict[str, tuple[float, float]]:
    """Atom to its place in um."""
    radius = SPACING / (2 * math.sin(math.pi / ATOMS))
    angles = {f"q{i}": math.pi / 2 - 2 * math.pi * i / ATOMS for i in range(ATOMS)}
    return {q: (radius * math.cos(a), radius * math.sin(a)) for q, a in angles.items()}


def build_sequence() -> str:
    """A pulse whose amplitude and detuning are variables, serialized by Pulser."""
    from pulser import Pulse, Register, Sequence
    from pulser.devices import MockDevice
    from pulser.waveforms import (
        CompositeWaveform,
        ConstantWaveform,
        InterpolatedWaveform,
        RampWaveform,
    )

    sequence: Any = Sequence(Register(positions()), MockDevice)
    sequence.declare_channel("rydberg", "rydberg_global")
    omega = sequence.declare_variable("omega_max")
    delta = sequence.declare_variable("delta", size=3)
    edge = DURATION // 4
    amplitude = CompositeWaveform(
        RampWaveform(edge, 0, omega),
        ConstantWaveform(DURATION - 2 * edge, omega),
        RampWaveform(edge, omega, 0),
    )
    sequence.add(Pulse(amplitude, InterpolatedWaveform(DURATION, delta), 0), "rydberg")
    sequence.measure("ground-rydberg")
    serialized: str = sequence.to_abstract_repr()
    return serialized


def to_variables(point: Mapping[str, float]) -> Variables:
    """A point within BOUNDS, as the sequence wants it."""
    delta = [point[name] for name in ("delta_start", "delta_middle", "delta_end")]
    return {"omega_max": point["omega_max"], "delta": delta}


def energy(bitstring: str) -> float:
    """In rad/us; the leftmost bit is atom q0, and 1 means excited."""
    places = list(positions().values())
    excited = [place for place, bit in zip(places, bitstring, strict=True) if bit == "1"]
    repulsion = sum(C6 / math.dist(a, b) ** 6 for a, b in combinations(excited, 2))
    return repulsion - DETUNING * len(excited)


def mean_energy(counts: Mapping[str, int]) -> float:
    return sum(energy(b) * n for b, n in counts.items()) / sum(counts.values())


def ground_state() -> tuple[float, list[str]]:
    """The lowest energy and every bitstring that has it, by looking at all of them."""
    energies = {"".join(bits): energy("".join(bits)) for bits in product("01", repeat=ATOMS)}
    lowest = min(energies.values())
    return lowest, [b for b, e in energies.items() if math.isclose(e, lowest, abs_tol=1e-6)]


def ground_share(counts: Mapping[str, int]) -> float:
    """The share of the shots that found a ground state."""
    _, grounds = ground_state()
    return sum(counts.get(bitstring, 0) for bitstring in grounds) / sum(counts.values())
