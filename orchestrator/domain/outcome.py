"""What an outcome means for its job. An outcome that is new is a type error until handled."""

from enum import StrEnum
from typing import assert_never

from orchestrator.domain.transitions import JobEvent
from schemas.task import Canceled, Done, Failed, Lost, Skipped
from schemas.words import OnLost


class Fate(StrEnum):
    """AGAIN: this run never began and never will: the job waits for another. PREEMPTED: it was
    stopped for the sake of its device: the job waits for another, too. LEFT: nothing is known yet,
    the run is still on its way."""

    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"
    AGAIN = "again"
    LOST = "lost"
    PREEMPTED = "preempted"
    GIVEN_UP = "given_up"
    LEFT = "left"


EVENT = {
    Fate.DONE: JobEvent.DONE,
    Fate.FAILED: JobEvent.FAILED,
    Fate.CANCELED: JobEvent.CANCELED,
}


def fate(
    outcome: Done | Failed | Canceled | Lost | Skipped,
    *,
    unwanted: bool,
    retaken: bool,
    same_journal: bool,
    on_lost: OnLost,
    interrupted: bool = False,
) -> Fate:
    """`unwanted`: its cancel was asked for, or its batch is over. `retaken`: its permit was taken
    back just now. `same_journal`: the journal that answers is the one which the run was staged
    for, so that its «never began» is certain. `interrupted`: it was to stop for the sake of its
    device.
    """
    match outcome:
        case Done():
            return Fate.DONE
        case Failed():
            return Fate.FAILED
        case Canceled():
            return Fate.PREEMPTED if interrupted and not unwanted else Fate.CANCELED
        case Skipped() if retaken or (outcome.gone and same_journal):
            return Fate.CANCELED if unwanted else Fate.AGAIN
        case Skipped() if not outcome.gone:
            return Fate.LEFT
        case Lost() | Skipped():
            if unwanted:
                return Fate.CANCELED
            return Fate.GIVEN_UP if on_lost is OnLost.FAIL else Fate.LOST
        case _:
            assert_never(outcome)


def on_lost_of(configured: str | None, pool_size: int) -> OnLost:
    """Where nothing is configured: a pool tries elsewhere, a unique device is waited for."""
    if configured is not None:
        return OnLost(configured)
    return OnLost.RETRY if pool_size > 1 else OnLost.WAIT
