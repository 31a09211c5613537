"""How a run ended, as the store wants to hear it."""

from dataclasses import dataclass

from orchestrator.domain.transitions import JobEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How one run of one job ended, as its device tells it (seconds since the epoch). `lost`:
    given up, since nobody can say what became of it; it costs nothing."""

    job: str
    run: int
    event: JobEvent
    began_at: float
    ended_at: float
    reason: str | None = None
    value: str | None = None
    ref: str | None = None
    size: int | None = None
    sha256: str | None = None
    lost: bool = False
