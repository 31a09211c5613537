"""The checks themselves. Importing this takes seconds: only the checker's process does."""

import ast
import inspect
import json
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

from jsonschema.exceptions import ValidationError
from pulser import Sequence
from pulser.backend import EmulationConfig
from pulser.backend.abc import Backend
from pulser.devices import VirtualDevice
from pulser.exceptions.sequence import SwitchDeviceError
from pulser.json.abstract_repr.deserializer import deserialize_device

from orchestrator.physics.question import Answer, JobQuestion, Question

AnySequence = Sequence[Any]
KEPT_SEQUENCES: Final = 16
MOST_FLAWS: Final = 20
MOST_MATCHINGS: Final = 10_000
MOST_TRAJECTORIES: Final = 10_000
LONGEST_MESSAGE: Final = 600
JOBS_S: Final = 5.0
"""For all jobs of one question together; a client waits no longer than 30 s for its answer."""

_CONFIG_KEYS: Final = frozenset(inspect.signature(EmulationConfig).parameters)


class Misfit(Exception):
    """Says in one line what is wrong."""


def answer(question: Question) -> Answer:
    """Every flaw, up to MOST_FLAWS of them."""
    flaws: list[tuple[str, str]] = []
    unchecked = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if (config := question.get("config")) is not None:
            flaws += _said(lambda: check_config(config), "payload.backend_configuration")
        shared = question["sequence"]
        if shared is not None:
            flaws += _said(lambda: fitted(shared, question["spec"]), "sequence")
        if not flaws:
            flaws, unchecked = _check_jobs(question)
    return {"flaws": flaws[:MOST_FLAWS], "unchecked": unchecked}


def _check_jobs(question: Question) -> tuple[list[tuple[str, str]], int]:
    flaws: list[tuple[str, str]] = []
    deadline = time.monotonic() + JOBS_S
    for done, job in enumerate(question["jobs"]):
        if len(flaws) >= MOST_FLAWS:
            break
        if time.monotonic() > deadline:
            return flaws, len(question["jobs"]) - done
        flaws += _check_job(job, question)
    return flaws, 0


def _check_job(job: JobQuestion, question: Question) -> list[tuple[str, str]]:
    spec, own = question["spec"], job.get("sequence")
    if own is not None and (flaws := _said(lambda: fitted(own, spec), f"{job['at']}.sequence")):
        return flaws
    text = own or question["sequence"]
    if text is None:
        return []
    sequence = fitted(text, spec)
    if not (sequence.is_parametrized() or sequence.is_register_mappable()):
        return []
    return _said(
        lambda: _check_built(sequence.build(**job["variables"]), spec), _field(sequence, job["at"])
    )


def _field(sequence: AnySequence, at: str) -> str:
    """Pulser does not say which variable it was; with a single one there is no doubt."""
    names = list(sequence.declared_variables)
    one = len(names) == 1 and not sequence.is_register_mappable()
    return f"{at}.variables.{names[0]}" if one else f"{at}.variables"


@lru_cache(maxsize=KEPT_SEQUENCES)
def fitted(text: str, spec: str | None) -> AnySequence:
    """The sequence as the device would play it. Raises Misfit."""
    sequence = read_sequence(text)
    if spec is not None:
        sequence = fit(sequence, device_of(spec))
    if not sequence.is_register_mappable() and not sequence.is_parametrized():
        _check_built(sequence, spec)
    return sequence


def read_sequence(text: str) -> AnySequence:
    try:
        return Sequence.from_abstract_repr(text)
    except ValidationError as error:
        raise Misfit(f"is not as Pulser writes it: {_where(error)}") from error


@lru_cache(maxsize=KEPT_SEQUENCES)
def device_of(spec: str) -> Any:
    return deserialize_device(spec)


def fit(sequence: AnySequence, device: Any) -> AnySequence:
    """On a processor the pulses must be the very same; an emulator plays what was written for any
    device, as long as it has such channels and the atoms fit."""
    if sequence.device == device:
        return sequence
    if isinstance(device, VirtualDevice):
        _check_channels(sequence, device)
        return sequence
    count = len(device.channels) + len(device.dmm_channels)
    if count ** len(sequence.declared_channels) > MOST_MATCHINGS:
        raise Misfit(f"has too many channels to be matched with those of {device.name}")
    try:
        return sequence.with_new_device(device, strict=True)
    except (SwitchDeviceError, RuntimeError, TypeError, ValueError) as error:
        said = _why_not(error)
        raise Misfit(
            f"was written for {sequence.device.name} and does not fit {device.name}: {said}"
        ) from error


def _why_not(error: Exception) -> str:
    """Pulser tells of every matching of channels that it tried, as the text of a dictionary."""
    _, _, tried = str(error).partition("associated errors: ")
    with suppress(ValueError, SyntaxError, AttributeError):
        return "; ".join(dict.fromkeys(ast.literal_eval(tried).values()))
    return _line(error.__cause__ or error)


def _check_channels(sequence: AnySequence, device: Any) -> None:
    theirs = {_kind(each) for each in (*device.channels.values(), *device.dmm_channels.values())}
    for name, channel in sequence.declared_channels.items():
        if _kind(channel) not in theirs:
            kind = f"{channel.addressing} {type(channel).__name__}"
            raise Misfit(f"uses the channel {name!r} ({kind}), and {device.name} has none such")


def _kind(channel: Any) -> tuple[type, str, str]:
    return type(channel), channel.basis, channel.addressing


def _check_built(sequence: AnySequence, spec: str | None) -> None:
    """What is known only once every variable has its value and every atom its place."""
    if sequence.is_empty():
        raise Misfit("has no pulse: add one to a declared channel")
    if spec is None:
        return
    device = device_of(spec)
    device.validate_register(sequence.register)
    longest = device.max_sequence_duration
    if longest is not None and sequence.get_duration() > longest:
        raise Misfit(f"takes {sequence.get_duration()} ns; {device.name} allows {longest} ns")
    Backend.validate_sequence(sequence, mimic_qpu=not isinstance(device, VirtualDevice))


def check_config(text: str) -> None:
    """What other backends' configs carry besides is left aside, as the executors do."""
    given = json.loads(text)
    if not isinstance(given, Mapping):
        raise Misfit("must be a serialized Pulser EmulationConfig")
    known = {name: value for name, value in given.items() if name in _CONFIG_KEYS}
    _check_bounds(known)
    try:
        EmulationConfig.from_abstract_repr(json.dumps(known))
    except ValidationError as error:
        raise Misfit(f"is no EmulationConfig of Pulser: {_where(error)}") from error


def _check_bounds(config: Mapping[str, Any]) -> None:
    try:
        json.dumps(config, allow_nan=False)
    except ValueError:
        raise Misfit("holds NaN or infinity: every number in it must be finite") from None
    trajectories = config.get("n_trajectories")
    if isinstance(trajectories, int) and trajectories > MOST_TRAJECTORIES:
        raise Misfit(f"asks for {trajectories} trajectories; at most {MOST_TRAJECTORIES} are run")


def _said(act: Callable[[], object], field: str) -> list[tuple[str, str]]:
    """The flaw that Pulser finds, in its own words."""
    try:
        act()
    except MemoryError:
        raise
    except Exception as error:
        return [(field, _line(error))]
    return []


def _line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:LONGEST_MESSAGE]


def _where(error: ValidationError) -> str:
    """The mistake in the alternative that comes closest to what was sent."""
    while error.context:
        branches: dict[object, list[ValidationError]] = {}
        for each in error.context:
            branches.setdefault(each.relative_schema_path[0], []).append(each)
        error = min(branches.values(), key=len)[0]
    path = ".".join(str(part) for part in error.absolute_path) or "top level"
    return f"{path}: {error.message[:300]}"
