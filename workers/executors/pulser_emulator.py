"""The part of the Pulser executor that needs Pulser; importing it takes seconds."""

import functools
import inspect
import json
import math
import random
import sys
import warnings
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pulser
from jsonschema.exceptions import ValidationError
from pulser import Sequence
from pulser.backend import BitStrings, EmulationConfig
from pulser.backend.state import Eigenstate

from workers.executors.base import JobFailed

# QuTiP rebuilds its dispatch tables eight times a job, cleaning 2,660 docstrings each time:
# remembering them makes a job of 4 atoms 51 ms long instead of 87 ms.
inspect.cleandoc = functools.lru_cache(maxsize=4096)(inspect.cleandoc)

AnySequence = Sequence[Any]
AnyConfig = EmulationConfig[Any]
END: Final = 1.0
DEFAULT_BASIS: Final = "ground-rydberg"
ONE_STATE: Final[dict[str, Eigenstate]] = {"ground-rydberg": "r", "digital": "h", "XY": "d"}


# Progress would go to stdout; the others name files on this node.
_NOT_FOR_USERS: Final = frozenset(
    {"print_progress", "progress_bar", "log_file", "log_level", "autosave_prefix", "autosave_dt"}
)


@functools.cache
def _config_keys(config_type: type) -> frozenset[str]:
    """What other backends' configs carry besides would be refused."""
    known = {name for each in (EmulationConfig, config_type) for name in _parameters(each)}
    return frozenset(known) - _NOT_FOR_USERS


def _parameters(config_type: type) -> Iterable[str]:
    return inspect.signature(config_type).parameters


@contextmanager
def quiet() -> Generator[list[str]]:
    """Yields a list that holds, after the block, what Pulser warned the user of, each once."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    # Subclasses are about the library and its age, not about the user's sequence.
    said += dict.fromkeys(str(w.message) for w in caught if w.category is UserWarning)


def parse_sequence(sequence: object) -> AnySequence:
    text = sequence if isinstance(sequence, str) else json.dumps(sequence)
    try:
        return Sequence.from_abstract_repr(text)
    except ValidationError as error:
        raise JobFailed(f"the sequence cannot be read: {_where(error)}") from error


def read_config(config: object, config_type: type) -> dict[str, Any]:
    """Those of its options that this kind of config has. None gives the defaults: no noise, and
    1000 shots where the job does not say."""
    if config is None:
        config = EmulationConfig(observables=[BitStrings(evaluation_times=[END])])
        config = config.to_abstract_repr()
    given = json.loads(config) if isinstance(config, str) else config
    if not isinstance(given, Mapping):
        raise JobFailed("the backend configuration must be a serialized Pulser EmulationConfig")
    return {key: value for key, value in given.items() if key in _config_keys(config_type)}


def make_config(options: dict[str, Any], config_type: Any) -> AnyConfig:
    try:
        config: AnyConfig = config_type.from_abstract_repr(json.dumps(options))
    except ValidationError as error:
        raise JobFailed(f"the backend configuration cannot be read: {_where(error)}") from error
    return config


def _where(error: ValidationError) -> str:
    """The mistake in the alternative that comes closest to what was sent."""
    while error.context:
        branches: dict[object, list[ValidationError]] = {}
        for each in error.context:
            branches.setdefault(each.relative_schema_path[0], []).append(each)
        error = min(branches.values(), key=len)[0]
    path = ".".join(str(part) for part in error.absolute_path) or "top level"
    return f"{path}: {error.message[:300]}"


@dataclass(frozen=True)
class Program:
    """What the jobs of a batch have in common."""

    sequence: AnySequence
    config: AnyConfig

    def build(self, variables: Mapping[str, Any]) -> AnySequence:
        """The sequence of one job; `variables` may hold the `qubits` of a mappable register."""
        self._check_names(variables)
        mappable = self.sequence.is_register_mappable()
        if not (mappable or self.sequence.is_parametrized()):
            return self.sequence
        return self.sequence.build(**variables)

    def _check_names(self, variables: Mapping[str, Any]) -> None:
        """Pulser itself only warns of a variable that it does not know."""
        needed = set(self.sequence.declared_variables)
        if self.sequence.is_register_mappable():
            needed.add("qubits")
        if missing := sorted(needed - set(variables)):
            raise JobFailed(f"no value for {', '.join(missing)}: the sequence declares it")
        if unknown := sorted(set(variables) - needed):
            declared = ", ".join(sorted(needed)) or "none"
            raise JobFailed(f"unknown variable {', '.join(unknown)}; declared: {declared}")
        for name in sorted(needed - {"qubits"}):
            _check_finite(name, variables[name])

    def observed(self, sequence: AnySequence, runs: int | None) -> "Observed":
        """The config with every sampling set to `runs` shots, one of them at the end."""
        observables = deepcopy(list(self.config.observables))
        samplers = [each for each in observables if isinstance(each, BitStrings)]
        if not samplers:
            samplers = [BitStrings(evaluation_times=[END])]
            observables += samplers
        counter = next((each for each in samplers if each.tag == "bitstrings"), samplers[0])
        shots = runs or counter.num_shots or self.config.default_num_shots
        for sampler in samplers:
            sampler.num_shots = shots
            sampler.one_state = sampler.one_state or _one_state(sequence)
        counter.evaluation_times = self._times(counter)
        config = self.config.with_changes(observables=observables)
        return Observed(config, counter.tag, [each.tag for each in samplers], shots)

    def _times(self, counter: BitStrings) -> Any:
        times: Any = counter.evaluation_times
        if times is None:
            times = self.config.default_evaluation_times
        # "Full" means thousands of samplings; the end is the one that counts.
        return np.array([END]) if isinstance(times, str) else np.union1d(times, [END])


def _check_finite(name: str, value: Any) -> None:
    for entry in value if isinstance(value, list | tuple) else [value]:
        number = isinstance(entry, int | float) and not isinstance(entry, bool)
        if not number or not math.isfinite(entry):
            raise JobFailed(f"variable {name} must be a number or a list of numbers, got {value!r}")


def _one_state(sequence: AnySequence) -> Eigenstate | None:
    """Pulser infers it while the pulses address one basis; with two it has to be told."""
    bases = {channel.basis for channel in sequence.declared_channels.values()}
    if len(bases) < 2 or len(pulser.sampler.sample(sequence).used_bases) < 2:
        return None
    measured = sequence.get_measurement_basis() if sequence.is_measured() else DEFAULT_BASIS
    return ONE_STATE[measured]


@dataclass(frozen=True)
class Observed:
    """`counter` is the tag of the sampling that becomes the job's counts; it has `shots`."""

    config: AnyConfig
    counter: str
    samplers: list[str]
    shots: int


def sample(
    backend: Any, sequence: AnySequence, observed: Observed, *, seed: int | None
) -> dict[str, Any]:
    """JSON-ready; `counter` is read from `results`, so that they cannot disagree."""
    stream = np.random.SeedSequence(seed)
    _reseed(stream)
    results = backend(sequence, config=observed.config).run()
    found: dict[str, Any] = json.loads(results.to_abstract_repr(skip_validation=True))
    generator = np.random.default_rng(stream.spawn(1)[0])
    for tag in observed.samplers:
        samples = found["results"][found["tagmap"][tag]]
        samples[:] = [_thin(counts, observed.shots, generator) for counts in samples]
    of_counter = found["tagmap"][observed.counter]
    at_end = found["times"][of_counter].index(END)
    return {
        "counter": found["results"][of_counter][at_end],
        "runs": observed.shots,
        "results": found,
        "atom_order": found["atom_order"],
        "total_duration": found["total_duration"],
        "tags": sorted(found["tagmap"]),
    }


def _reseed(stream: np.random.SeedSequence) -> None:
    """Emulators draw from global states, which forked or equally seeded processes share: torch
    starts from the same one in every process."""
    words = stream.generate_state(8)
    np.random.seed(words)
    random.seed(words.tobytes())
    if torch := sys.modules.get("torch"):
        torch.manual_seed(int(words[0]))


def _thin(counts: dict[str, int], shots: int, generator: np.random.Generator) -> dict[str, int]:
    """With stochastic noise Pulser takes `shots` per trajectory: keep `shots` of them all."""
    names = sorted(counts, key=lambda name: (-counts[name], name))
    kept = [counts[name] for name in names]
    if sum(kept) > shots:
        kept = generator.multivariate_hypergeometric(kept, shots).tolist()
    return {name: count for name, count in zip(names, kept, strict=True) if count}
