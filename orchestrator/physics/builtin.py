"""The device types that need no file: their specs are kept as Pulser gave them, because no process
of the orchestrator may import Pulser for four constants."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

# An emulator keeps the name MockDevice, so that a sequence written on that infers to it.
_SPECS: Final = {
    "EMU_FREE": "mock.json",
    "EMU_SV": "mock.json",
    "EMU_MPS": "mock.json",
    "FRESNEL": "fresnel.json",
}
MAX_QUBITS: Final = {"pulser": 14, "emu_sv": 25, "emu_mps": 80}
"""By executor; more takes minutes or more memory than a node has. A devices file may say other."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a device type is given when nobody says otherwise. `spec`: Pulser's abstract
    representation of the device, as JSON text."""

    spec: str | None = None
    public: bool = False
    max_runs: int | None = None
    max_qubits: int | None = None


@cache
def defaults(device_type: str, executor: str) -> Defaults:
    most = MAX_QUBITS.get(executor)
    name = _SPECS.get(device_type)
    if name is None:
        return Defaults(max_qubits=most)
    spec = (files(__package__) / "specs" / name).read_text().strip()
    return Defaults(spec, True, json.loads(spec).get("max_runs"), most)
