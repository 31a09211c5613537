"""The device types that an operator defines, from the TOML file HOLDFAST_DEVICES_FILE names.

[[device_type]]
name = "LAB_QPU"
executor = "pulser"
spec = "lab-qpu.json"   # beside this file, or the JSON itself
public = true           # shown without a login; false unless said
max_runs = 500
max_qubits = 12
rate = 1000             # micro-credits for one core and one second; 0, free, unless said
cores = 1               # that each of its jobs has
"""

import json
import tomllib
from pathlib import Path
from typing import Any, Final

from orchestrator.config import BadSettings
from orchestrator.domain.credit import MOST_CORES, MOST_RATE, RATES
from orchestrator.physics.builtin import defaults
from orchestrator.store.catalog import DeviceType

_KINDS: Final[dict[str, tuple[type, str]]] = {
    "name": (str, "a text"),
    "executor": (str, "a text"),
    "spec": (str, "a text"),
    "public": (bool, "true or false"),
    "max_runs": (int, "a whole number of at least 1"),
    "max_qubits": (int, "a whole number of at least 1"),
    "rate": (int, f"a whole number of micro-credits, from 0 to {MOST_RATE}"),
    "cores": (int, f"a whole number from 1 to {MOST_CORES}"),
}
_RANGES: Final = {"rate": (0, MOST_RATE), "cores": (1, MOST_CORES)}
_REQUIRED: Final = ("name", "executor")


def load(path: str) -> list[DeviceType]:
    """Raises BadSettings with every mistake of the file. No path gives no types."""
    if not path:
        return []
    reader = _Reader(Path(path))
    types = reader.types()
    if reader.problems:
        raise BadSettings([f"HOLDFAST_DEVICES_FILE {path}: {said}" for said in reader.problems])
    return types


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.problems: list[str] = []

    def types(self) -> list[DeviceType]:
        try:
            entries = tomllib.loads(self._path.read_text()).get("device_type")
        except (OSError, ValueError) as error:
            self.problems.append(f"cannot be read: {error}")
            return []
        if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
            self.problems.append("must have a [[device_type]] for each type")
            return []
        types = [self._type(entry, f"device_type {n}") for n, entry in enumerate(entries, 1)]
        names = [entry.get("name") for entry in entries]
        twice = sorted({str(name) for name in names if name and names.count(name) > 1})
        self.problems += [f"the type {name} is defined twice" for name in twice]
        return [each for each in types if each is not None]

    def _type(self, entry: dict[str, Any], at: str) -> DeviceType | None:
        at = f"{at} ({entry['name']})" if isinstance(entry.get("name"), str) else at
        wrong = [f"{at}: {name} is missing" for name in _REQUIRED if name not in entry]
        wrong += [f"{at}: {word}" for word in map(_misfit, entry, entry.values()) if word]
        self.problems += wrong
        if wrong:
            return None
        known = defaults(entry["name"], entry["executor"])
        spec = self._spec(entry["spec"], entry["name"], at) if "spec" in entry else known.spec
        return DeviceType(
            name=entry["name"],
            executor=entry["executor"],
            max_runs=entry.get("max_runs", _max_runs(spec)),
            spec=spec,
            public=entry.get("public", False),
            max_qubits=entry.get("max_qubits", known.max_qubits),
            rate=entry.get("rate", RATES.get(entry["executor"], 0)),
            cores=entry.get("cores", 1),
        )

    def _spec(self, given: str, name: str, at: str) -> str | None:
        try:
            inline = given.lstrip().startswith("{")
            text = given if inline else (self._path.parent / given).read_text()
            _check_spec(text, name)
        except (OSError, ValueError) as error:
            self.problems.append(f"{at}: spec: {error}")
            return None
        return text.strip()


def _misfit(name: str, value: object) -> str | None:
    if name not in _KINDS:
        return f"{name} is unknown; there are {', '.join(_KINDS)}"
    kind, words = _KINDS[name]
    fits = type(value) is kind and value != ""
    if fits and isinstance(value, int) and kind is int:
        least, most = _RANGES.get(name, (1, None))
        fits = least <= value and (most is None or value <= most)
    return None if fits else f"{name} must be {words}, not {value!r}"


def _check_spec(text: str, name: str) -> None:
    spec = json.loads(text)
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        raise ValueError("must be what Device.to_abstract_repr() of Pulser returns")
    if not spec.get("is_virtual") and spec["name"] != name:
        raise ValueError(
            f"describes the processor {spec['name']!r}: its type must have that name, by which"
            " sequences refer to it"
        )
    _check_with_pulser(text)


def _check_with_pulser(text: str) -> None:
    """As far as it is installed here."""
    try:
        from pulser.json.abstract_repr.deserializer import deserialize_device
    except ImportError:
        return
    try:
        deserialize_device(text)
    except Exception as error:
        why = " ".join(str(error.__cause__ or error).split())[:300]
        raise ValueError(f"Pulser cannot read it: {why or type(error).__name__}") from error


def _max_runs(spec: str | None) -> int | None:
    most = json.loads(spec).get("max_runs") if spec else None
    return most if isinstance(most, int) else None
