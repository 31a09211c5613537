"""What can be said of a serialized Pulser sequence, and of its jobs, without Pulser.

These are the mistakes that need no physics: Pulser takes seconds and 110 MiB to import, which
an API process cannot spare. The rest is found by orchestrator.physics, in a process of its own.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from orchestrator.errors import Flaw

REQUIRED_KEYS: Final = frozenset(
    {"channels", "device", "measurement", "name", "operations", "register", "variables", "version"}
)
_SHAPES: Final[dict[str, tuple[type, ...]]] = {
    "channels": (dict,),
    "device": (dict, str),
    "operations": (list,),
    "register": (list,),
    "variables": (dict,),
}
_NAMES: Final[dict[type, str]] = {dict: "an object", list: "a list", str: "a string"}
_FIX: Final = "send what Sequence.to_abstract_repr() returns"


class Variable(NamedTuple):
    """Pulser rounds what an `int` is given towards zero, so both types take any number."""

    type: Literal["int", "float"]
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceFacts:
    """`traps` is the number of traps of a mappable register's layout; None: the register is
    fixed. `device` is the name of the device that the sequence was written for."""

    variables: Mapping[str, Variable]
    qubits: tuple[str, ...]
    traps: int | None
    device: str | None

    @property
    def mappable(self) -> bool:
        return self.traps is not None

    @property
    def parametrized(self) -> bool:
        """True if its jobs have to say something beyond their number of runs."""
        return bool(self.variables) or self.mappable


class _Wrong(Exception):
    """Carries what is wrong from the depth of the sequence to `check_sequence`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.flaw = Flaw(field, message)


def check_sequence(
    sequence: str | dict[str, Any], *, max_bytes: int, at: str = "sequence"
) -> SequenceFacts | list[Flaw]:
    """Facts if it has the shape of Pulser's abstract representation, else what is wrong.

    `max_bytes` counts its JSON in UTF-8; `at` is where it stands in the request.
    """
    try:
        body = _read(sequence, max_bytes, at)
        if problems := _check_shape(body, at):
            return problems
        qubits, traps = _read_register(body, at)
        return SequenceFacts(
            variables={name: _read_variable(v, name, at) for name, v in body["variables"].items()},
            qubits=qubits,
            traps=traps,
            device=_device_name(body["device"]),
        )
    except _Wrong as wrong:
        return [wrong.flaw]


def _read(sequence: str | dict[str, Any], max_bytes: int, at: str) -> dict[str, Any]:
    try:
        text = sequence if isinstance(sequence, str) else json.dumps(sequence, ensure_ascii=False)
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > max_bytes:
            raise _Wrong(at, f"has {size:,} bytes; up to {max_bytes:,} are allowed")
        body = _loads(text) if isinstance(sequence, str) else sequence
    except (ValueError, RecursionError) as error:
        raise _Wrong(at, f"is not JSON ({error}): {_FIX}") from error
    if not isinstance(body, dict):
        raise _Wrong(at, f"must be a JSON object, not {type(body).__name__}: {_FIX}")
    return body


def _loads(text: str) -> Any:
    """Python reads NaN, and takes 1e999 for infinity; an atom can be at neither."""
    return json.loads(text, parse_float=_finite, parse_constant=_no_number)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text[:20]} is not a finite number")


def written_for(sequence: str | dict[str, Any] | None) -> str | None:
    """The name of the device that it was written for, if it can be made out and stored."""
    try:
        body = json.loads(sequence) if isinstance(sequence, str) else sequence
    except (ValueError, RecursionError):
        return None
    name = _device_name(body.get("device")) if isinstance(body, dict) else None
    return name if name is not None and name.isprintable() else None


def _check_shape(body: dict[str, Any], at: str) -> list[Flaw]:
    if missing := sorted(REQUIRED_KEYS - body.keys()):
        return [Flaw(at, f"is no Pulser sequence, it lacks {', '.join(missing)}: {_FIX}")]
    if body["version"] != "1":
        return [Flaw(f"{at}.version", f'must be "1", not {body["version"]!r}')]
    return [
        Flaw(f"{at}.{key}", f"must be {' or '.join(_NAMES[kind] for kind in kinds)}")
        for key, kinds in _SHAPES.items()
        if not isinstance(body[key], kinds)
    ]


def _device_name(device: Any) -> str | None:
    name = device.get("name") if isinstance(device, dict) else device
    return name if isinstance(name, str) else None


def _read_variable(declared: Any, name: str, at: str) -> Variable:
    declared = declared if isinstance(declared, dict) else {}
    kind, value = declared.get("type"), declared.get("value")
    if kind not in ("int", "float"):
        raise _Wrong(f"{at}.variables.{name}.type", 'must be "int" or "float"')
    if not isinstance(value, list) or not value:
        message = "must be a list with as many numbers as the variable has entries"
        raise _Wrong(f"{at}.variables.{name}.value", message)
    return Variable(kind, len(value))


def _read_register(body: dict[str, Any], at: str) -> tuple[tuple[str, ...], int | None]:
    atoms = body["register"]
    if not atoms or not all(isinstance(atom, dict) for atom in atoms):
        raise _Wrong(f"{at}.register", "must be a list of at least one atom")
    mappable = "qid" in atoms[0]
    qubits = tuple(atom.get("qid" if mappable else "name") for atom in atoms)
    if not all(isinstance(qubit, str) for qubit in qubits):
        raise _Wrong(f"{at}.register", "must name each of its atoms the same way (name or qid)")
    if len(set(qubits)) < len(qubits):
        raise _Wrong(f"{at}.register", "must not name an atom twice")
    return qubits, _count_traps(body, at, len(qubits)) if mappable else None


def _count_traps(body: dict[str, Any], at: str, qubits: int) -> int:
    layout = body.get("layout")
    traps = layout.get("coordinates") if isinstance(layout, dict) else None
    if not isinstance(traps, list):
        raise _Wrong(f"{at}.layout", "must list the coordinates of the traps, as qubits are mapped")
    if qubits > len(traps):
        raise _Wrong(f"{at}.register", f"has {qubits} qubits for the layout's {len(traps)} traps")
    return len(traps)


def check_atoms(facts: SequenceFacts, max_qubits: int | None, at: str = "sequence") -> list[Flaw]:
    """Of a fixed register; of a mappable one only the placed atoms count, see `check_job`."""
    if facts.mappable:
        return []
    return _check_count(len(facts.qubits), max_qubits, f"{at}.register")


def _check_count(atoms: int, most: int | None, at: str) -> list[Flaw]:
    if most is None or atoms <= most:
        return []
    return [Flaw(at, f"has {atoms} atoms: this device runs up to {most}")]


def check_job(
    facts: SequenceFacts,
    job: Mapping[str, Any],
    *,
    max_runs: int,
    max_qubits: int | None = None,
    at: str = "job",
) -> list[Flaw]:
    """Every problem of one job's `runs` and `variables`; empty if there is none.

    `at` is where the job stands in the request, `jobs[3]` for example.
    """
    problems = check_runs(job.get("runs"), max_runs, f"{at}.runs")
    variables = job.get("variables")
    if variables is None:
        variables = {}
    if not isinstance(variables, Mapping):
        return [*problems, Flaw(f"{at}.variables", "must be an object of name: value")]
    problems += _check_variables(facts, variables, f"{at}.variables")
    placed = variables.get("qubits")
    if facts.mappable and isinstance(placed, Mapping):
        problems += _check_count(len(placed), max_qubits, f"{at}.variables.qubits")
    return problems


def check_runs(runs: Any, max_runs: int, at: str) -> list[Flaw]:
    """None leaves the number to the device."""
    if runs is None:
        return []
    if isinstance(runs, bool) or not isinstance(runs, int):
        return [Flaw(at, f"must be a whole number, not {runs!r}")]
    if runs < 1:
        return [Flaw(at, f"must be at least 1, not {runs}")]
    if runs > max_runs:
        return [Flaw(at, f"must be at most {max_runs}, not {runs}: split it into several jobs")]
    return []


def _check_variables(facts: SequenceFacts, given: Mapping[str, Any], at: str) -> list[Flaw]:
    problems = [
        Flaw(f"{at}.{name}", f"is not declared by the sequence, which has {_declared(facts)}")
        for name in given
        if name not in facts.variables and name != "qubits"
    ]
    for name, variable in facts.variables.items():
        problems += _check_value(variable, given.get(name), f"{at}.{name}")
    return problems + _check_qubits(facts, given.get("qubits"), f"{at}.qubits")


def _declared(facts: SequenceFacts) -> str:
    names = [*facts.variables, *(["qubits"] if facts.mappable else [])]
    return ", ".join(names) or "no variables"


def _check_value(variable: Variable, value: Any, at: str) -> list[Flaw]:
    wanted = "a number" if variable.size == 1 else f"a list of {variable.size} numbers"
    if value is None:
        return [Flaw(at, f"is missing: the sequence declares it, give it {wanted}")]
    entries = value if isinstance(value, list | tuple) else [value]
    if not all(_is_number(entry) for entry in entries):
        return [Flaw(at, f"must be {wanted}, not {_short(value)}")]
    if len(entries) != variable.size:
        given = f"a list of {len(entries)}" if entries is value else "one number"
        return [Flaw(at, f"must be {wanted}, not {given}")]
    return []


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_qubits(facts: SequenceFacts, given: Any, at: str) -> list[Flaw]:
    if facts.traps is None:
        unwanted = "must not be given: the atoms of this sequence have fixed places"
        return [] if given is None else [Flaw(at, unwanted)]
    if not isinstance(given, Mapping) or not given:
        message = 'is missing: place the qubits on traps, for example {"q0": 1, "q1": 5}'
        return [Flaw(at, message.replace("q0", facts.qubits[0]))]
    first = facts.qubits[: len(given)]
    if set(given) != set(first):
        return [Flaw(at, f"must name the first {len(first)} qubits: {', '.join(first)}")]
    return _check_traps(given, facts.traps, at)


def _check_traps(given: Mapping[str, Any], traps: int, at: str) -> list[Flaw]:
    problems: list[Flaw] = []
    taken: dict[int, str] = {}
    for qubit, trap in given.items():
        if isinstance(trap, bool) or not isinstance(trap, int) or not 0 <= trap < traps:
            message = f"must be a trap from 0 to {traps - 1}, not {_short(trap)}"
            problems.append(Flaw(f"{at}.{qubit}", message))
        elif trap in taken:
            problems.append(Flaw(f"{at}.{qubit}", f"trap {trap} is already {taken[trap]}'s"))
        else:
            taken[trap] = qubit
    return problems
