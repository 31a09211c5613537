"""What a device looks like to a worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

CHECKPOINT: Final = "HOLDFAST_CHECKPOINT"
"""Environment variable of an executor on a controller: a file that it may replace (write another
one, rename it to this) as often as it likes, and finds again where the job is begun anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """One run of one job. `shared` is the same object for every job of a batch."""

    batch: str
    shared: Mapping[str, Any]
    job: str
    run: int
    payload: Mapping[str, Any]


class JobFailed(Exception):
    """The job itself is at fault; the text is shown to its owner as the reason."""


class Executor(Protocol):
    """One way to run a job, living in a child process that may be killed at any moment.

    Constructed once per child (heavy imports belong there, not at module level), with what the
    operator set by `--option`: keywords of type bool, int, float or str. `run` returns JSON-ready
    data; raising `JobFailed` ends the job as ERROR with that reason, any other exception does so
    with its type and text. A class that has `job_types`, a tuple of words, computes those where it
    runs on a user's controller: jobs of other types are refused when they are submitted.
    """

    fresh_process: ClassVar[bool]
    """True asks for a new process for each job."""

    def run(self, work: Work, *, canceled: Callable[[], bool]) -> dict[str, Any]: ...
