"""Runs Pulser sequences on an emulator: here QuTiP, in `emu` others.

A batch shares `{"sequence": <abstract representation>}` and, if it likes, an emulation config
under `backend_configuration` (or `config`). A job brings `{"runs", "variables"}`, and may bring
its own `sequence`, or a `seed` (a whole number >= 0) that makes its samples repeatable.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from workers.executors.base import JobFailed, Work

if TYPE_CHECKING:
    from workers.executors.pulser_emulator import Program

KEPT_BATCHES: Final = 2
_REASON_LIMIT: Final = 800
_TICK_S: Final = 0.02
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class PulserExecutor:
    """Samples bitstrings from the state at the end of a sequence.

    The result is JSON: `counter` {bitstring: count} (leftmost is the first atom), `runs`,
    `results` (Pulser's own `Results`, holding those same samples), `atom_order`,
    `total_duration` in ns, `tags` of what was observed, and `warnings`: what Pulser said about
    the sequence while it ran.

    With `modulation` the pulses are those that a processor's channels let through; `shot_s`, in
    seconds, is what a shot takes on it, and a job then takes at least so long for its runs.
    """

    fresh_process: ClassVar[bool] = False
    max_qubits: int = 14
    """A state vector of 14 qubits takes seconds and 320 MB; each further one about doubles both."""

    def __init__(
        self, *, modulation: bool = False, shot_s: float = 0.0, max_qubits: int = 0
    ) -> None:
        # Before numpy loads: a second thread gains nothing here and takes the other devices' core.
        for name in _THREADS:
            os.environ.setdefault(name, "1")
        from workers.executors import pulser_emulator

        self.max_qubits = max_qubits or self.max_qubits
        self._modulation = modulation
        self._shot_s = shot_s
        self._emulator = pulser_emulator
        self._type = self._backend()
        self._programs: OrderedDict[str, Program] = OrderedDict()

    def run(self, work: Work, *, canceled: Callable[[], bool]) -> dict[str, Any]:
        """A solver cannot be stopped half-way: a cancel ends the whole process instead."""
        began = time.monotonic()
        with self._emulator.quiet() as said:
            program = self._program(work)
            with blame("the job does not fit its sequence"):
                sequence = program.build(_variables(work.payload))
                self._check_size(len(sequence.register.qubit_ids))
                observed = program.observed(sequence, _runs(work.payload))
            with blame("the emulation failed"):
                result = self._emulator.sample(
                    self._type, sequence, observed, seed=_seed(work.payload)
                )
        _wait_until(began + observed.shots * self._shot_s, canceled)
        return {**result, "warnings": said}

    def _backend(self) -> Any:
        """Pulser's class of the emulator."""
        from pulser_simulation import QutipBackendV2

        return QutipBackendV2

    def _on_this_node(self, config: dict[str, Any]) -> dict[str, Any]:
        """What a user's config comes to here."""
        return config

    def _program(self, work: Work) -> "Program":
        own = work.payload.get("sequence")
        if own is not None:
            return self._parse(own, work.shared)
        if work.batch not in self._programs:
            self._programs[work.batch] = self._parse(work.shared.get("sequence"), work.shared)
            while len(self._programs) > KEPT_BATCHES:
                self._programs.popitem(last=False)
        self._programs.move_to_end(work.batch)
        return self._programs[work.batch]

    def _parse(self, sequence: object, shared: Mapping[str, Any]) -> "Program":
        if sequence is None:
            raise JobFailed("the batch has no sequence: give it one serialized by Pulser")
        config = shared.get("backend_configuration") or shared.get("config")
        with blame("the sequence cannot be read"):
            parsed = self._emulator.parse_sequence(sequence)
        with blame("the backend configuration cannot be read"):
            known = self._emulator.read_config(config, self._type.config_type)
            if self._modulation:
                known["with_modulation"] = True
            parsed_config = self._emulator.make_config(
                self._on_this_node(known), self._type.config_type
            )
            return self._emulator.Program(parsed, parsed_config)

    def _check_size(self, qubits: int) -> None:
        if qubits > self.max_qubits:
            raise JobFailed(
                f"{qubits} atoms are too many: this device runs up to {self.max_qubits}"
            )


@contextmanager
def blame(what: str) -> Generator[None]:
    """Whatever goes wrong inside was caused by what the user sent: say so, in one line."""
    try:
        yield
    except (JobFailed, MemoryError):
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise JobFailed(f"{what}: {text}"[:_REASON_LIMIT]) from error


def _wait_until(end: float, canceled: Callable[[], bool]) -> None:
    while (left := end - time.monotonic()) > 0 and not canceled():
        time.sleep(min(left, _TICK_S))


def _variables(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    variables = payload.get("variables") or {}
    if not isinstance(variables, Mapping):
        raise JobFailed(f"variables must be an object of name: value, got {variables!r}")
    return variables


def _runs(payload: Mapping[str, Any]) -> int | None:
    runs = payload.get("runs")
    if runs is not None and (not _is_whole(runs) or runs < 1):
        raise JobFailed(f"runs must be a whole number of at least 1, got {runs!r}")
    return runs


def _seed(payload: Mapping[str, Any]) -> int | None:
    seed = payload.get("seed")
    if seed is not None and (not _is_whole(seed) or seed < 0):
        raise JobFailed(f"seed must be a whole number of at least 0, got {seed!r}")
    return seed


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
