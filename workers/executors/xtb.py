"""GFN1-xTB and GFN2-xTB by tblite: energies and relaxed geometries of molecules.

Each job runs in a process of its own, made for it and in the group that the worker kills: what
native code leaks, wedges or breaks ends with its job. tblite is never loaded into this process.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, ClassVar, Final

from pydantic import TypeAdapter, ValidationError

from schemas.chemistry import NUMBER, ChemistryJob, Constrain, FreezeAtom, Optimization
from workers.executors import openmp, registry
from workers.executors.base import JobFailed, Work
from workers.executors.xtb_child import MEMORY

_JOBS: Final[TypeAdapter[Any]] = TypeAdapter(ChemistryJob)
_COMMAND: Final = (sys.executable, "-P", "-m", "workers.executors.xtb_child")
_POLLED_S: Final = 0.1
_START_S: Final = 60.0
_PER_THREAD_MB: Final = 256
"""Of addresses, for its stack and its heap; next to nothing of that is used."""
_SHOWN_PROBLEMS: Final = 5

Canceled = Callable[[], bool]


class XtbExecutor:
    """Payload: a job of `schemas.chemistry`. `threads`: cores for each job; `wall_s`: seconds
    after which a job is killed and fails, 0 for never; `memory_mb`: what a job may use, 0 for all
    that there is."""

    fresh_process: ClassVar[bool] = False
    job_types: ClassVar[tuple[str, ...]] = ("single_point_energy", "optimization")

    def __init__(
        self, *, threads: int = 1, wall_s: float = 3600.0, memory_mb: float = 4096.0
    ) -> None:
        self._wall_s = wall_s or None
        self._memory_mb = memory_mb
        reserved_mb = memory_mb and memory_mb + _PER_THREAD_MB * threads
        # Read by libraries when they are loaded; BLAS within OpenMP would multiply the threads.
        self._env = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "OMP_STACKSIZE": "64M",
            "OPENBLAS_NUM_THREADS": str(threads),
            MEMORY: str(int(reserved_mb)),
        }
        self._env |= _openmp(self._env)
        self._program = {"program": "tblite", "version": version("tblite")}

    def run(self, work: Work, *, canceled: Canceled) -> dict[str, Any]:
        job = _read(work.payload)
        began = time.monotonic()
        answer = self._compute(_task(job), canceled)
        if "failed" in answer:
            raise JobFailed(str(answer["failed"]))
        result: dict[str, Any] = answer["result"]
        if isinstance(job, Optimization):
            positions = result.pop("positions")
            result["atoms"] = {**job.atoms.model_dump(), "positions": positions}
        wall_s = round(time.monotonic() - began, 6)
        return {**result, "provenance": {**self._program, "wall_s": wall_s}}

    def _compute(self, task: Mapping[str, Any], canceled: Canceled) -> dict[str, Any]:
        """What the child answers; JobFailed if it does not live to answer."""
        began = time.monotonic()
        sent: bytes | None = json.dumps(task).encode()
        with subprocess.Popen(
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._env
        ) as child:
            while True:
                try:
                    text, _ = child.communicate(sent, timeout=_POLLED_S)
                    break
                except subprocess.TimeoutExpired:
                    # The second call of communicate goes on where the first one was.
                    sent = None
                if canceled():
                    child.kill()
                    raise JobFailed("canceled")
                if self._wall_s is not None and time.monotonic() - began > self._wall_s:
                    child.kill()
                    raise JobFailed(f"exceeded its wall limit of {self._wall_s:g} s")
        if child.returncode != 0:
            room = f" with {self._memory_mb:g} MB of memory" if self._memory_mb else ""
            raise JobFailed(f"the program died ({_how(child.returncode)}) on this molecule{room}")
        answer: dict[str, Any] = json.loads(text)
        return answer


def missing() -> str:
    """What keeps this machine from running it, with the remedy; empty if nothing does, or if it
    is not installed here at all."""
    try:
        if "xtb" in registry.names():
            XtbExecutor()
    except RuntimeError as error:
        return str(error)
    return ""


def _openmp(env: Mapping[str, str]) -> dict[str, str]:
    """What the environment lacks for tblite to load. Raises RuntimeError: nothing helps."""
    trouble = _trouble(env)
    if not trouble:
        return {}
    if openmp.LIBRARY not in trouble:
        raise RuntimeError(f"tblite cannot be loaded: {trouble}")
    added = openmp.borrowed(env)
    if added is None or (trouble := _trouble({**env, **added})):
        raise RuntimeError(f"{openmp.ADVICE} ({trouble})")
    return added


def _trouble(env: Mapping[str, str]) -> str:
    """Why a child could not load tblite, in a line; empty if it could."""
    try:
        tried = subprocess.run(
            _COMMAND, input=b"{}", capture_output=True, env=dict(env), timeout=_START_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {_START_S:g} s"
    if tried.returncode == 0:
        return ""
    return (tried.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]


def _read(payload: Mapping[str, Any]) -> Any:
    try:
        return _JOBS.validate_python(dict(payload))
    except ValidationError as error:
        problems = [
            ": ".join(filter(None, (".".join(map(str, each["loc"])), each["msg"])))
            for each in error.errors(include_url=False, include_input=False)
        ]
        raise JobFailed(f"Invalid job payload: {'; '.join(problems[:_SHOWN_PROBLEMS])}") from None


def _task(job: Any) -> dict[str, Any]:
    """The job in tblite's own terms."""
    atoms = job.atoms
    task = {
        "level": job.level_of_theory,
        "numbers": [NUMBER[symbol] for symbol in atoms.symbols],
        "positions": atoms.positions,
        "charge": atoms.charge,
        "unpaired": atoms.multiplicity - 1,
    }
    if isinstance(job, Optimization):
        task["relax"] = {
            "fmax": job.fmax,
            "max_steps": job.max_steps,
            "frozen": [each.atom for each in job.constraints if isinstance(each, FreezeAtom)],
            "held": [each.model_dump() for each in job.constraints if isinstance(each, Constrain)],
        }
    return task


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}, {signal.Signals(-code).name}"
