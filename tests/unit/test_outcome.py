"""What an outcome means for its job."""

from itertools import product

import pytest

from orchestrator.domain.outcome import EVENT, Fate, fate, on_lost_of
from orchestrator.domain.transitions import JOB_ENDS, JOB_MOVES
from schemas.task import Canceled, Done, Failed, Lost, Result, Skipped
from schemas.words import OnLost

DONE = Done(job="j", run=1, began_at=1, ended_at=2, result=Result(value={}, size=2, sha256="0"))
FAILED = Failed(job="j", run=1, began_at=1, ended_at=2, reason="no such register")
CANCELED = Canceled(job="j", run=1, began_at=1, ended_at=2)
LOST = Lost(job="j", run=1)
SKIPPED = Skipped(job="j", run=1)
GONE = Skipped(job="j", run=1, gone=True)
EITHER = [True, False]
EVERYTHING = list(product(EITHER, EITHER, EITHER, OnLost))


def judge(
    outcome: Done | Failed | Canceled | Lost | Skipped,
    *,
    unwanted: bool = False,
    retaken: bool = False,
    same_journal: bool = True,
    on_lost: OnLost = OnLost.RETRY,
    interrupted: bool = False,
) -> Fate:
    return fate(
        outcome,
        unwanted=unwanted,
        retaken=retaken,
        same_journal=same_journal,
        on_lost=on_lost,
        interrupted=interrupted,
    )


@pytest.mark.parametrize(("unwanted", "retaken", "same_journal", "on_lost"), EVERYTHING)
@pytest.mark.parametrize(
    ("outcome", "expected"), [(DONE, Fate.DONE), (FAILED, Fate.FAILED), (CANCELED, Fate.CANCELED)]
)
def test_an_end_that_the_device_saw_is_what_it_is(
    outcome: Done | Failed | Canceled,
    expected: Fate,
    unwanted: bool,
    retaken: bool,
    same_journal: bool,
    on_lost: OnLost,
) -> None:
    found = judge(
        outcome, unwanted=unwanted, retaken=retaken, same_journal=same_journal, on_lost=on_lost
    )
    assert found is expected


@pytest.mark.parametrize(("same_journal", "on_lost"), list(product(EITHER, OnLost)))
def test_a_run_whose_permit_was_taken_back_waits_for_another(
    same_journal: bool, on_lost: OnLost
) -> None:
    found = judge(SKIPPED, retaken=True, same_journal=same_journal, on_lost=on_lost)
    assert found is Fate.AGAIN


@pytest.mark.parametrize("on_lost", OnLost)
def test_a_run_without_a_permit_that_its_own_journal_never_saw_waits_for_another(
    on_lost: OnLost,
) -> None:
    assert judge(GONE, on_lost=on_lost) is Fate.AGAIN


@pytest.mark.parametrize(
    ("unwanted", "same_journal", "on_lost"), list(product(EITHER, EITHER, OnLost))
)
def test_a_run_that_may_still_begin_is_left_alone(
    unwanted: bool, same_journal: bool, on_lost: OnLost
) -> None:
    found = judge(SKIPPED, unwanted=unwanted, same_journal=same_journal, on_lost=on_lost)
    assert found is Fate.LEFT


@pytest.mark.parametrize("outcome", [LOST, GONE])
@pytest.mark.parametrize(
    ("on_lost", "expected"),
    [(OnLost.WAIT, Fate.LOST), (OnLost.RETRY, Fate.LOST), (OnLost.FAIL, Fate.GIVEN_UP)],
)
def test_a_run_that_nobody_can_speak_for_is_lost_or_given_up(
    outcome: Lost | Skipped, on_lost: OnLost, expected: Fate
) -> None:
    assert judge(outcome, same_journal=False, on_lost=on_lost) is expected


@pytest.mark.parametrize("on_lost", OnLost)
def test_its_own_journal_may_say_that_a_run_is_lost(on_lost: OnLost) -> None:
    expected = Fate.GIVEN_UP if on_lost is OnLost.FAIL else Fate.LOST
    assert judge(LOST, same_journal=True, on_lost=on_lost) is expected


@pytest.mark.parametrize("outcome", [LOST, GONE])
@pytest.mark.parametrize(("same_journal", "on_lost"), list(product(EITHER, OnLost)))
def test_a_job_that_nobody_wants_any_more_does_not_run_again(
    outcome: Lost | Skipped, same_journal: bool, on_lost: OnLost
) -> None:
    found = judge(outcome, unwanted=True, same_journal=same_journal, on_lost=on_lost)
    assert found is Fate.CANCELED


def test_each_end_of_a_run_is_a_move_to_the_end_of_its_job() -> None:
    assert {JOB_MOVES[event].target for event in EVENT.values()} == JOB_ENDS


@pytest.mark.parametrize("word", OnLost)
@pytest.mark.parametrize("pool_size", [1, 5])
def test_what_an_operator_configured_goes_first(word: OnLost, pool_size: int) -> None:
    assert on_lost_of(word.value, pool_size) is word


@pytest.mark.parametrize(("pool_size", "expected"), [(1, OnLost.WAIT), (2, OnLost.RETRY)])
def test_a_unique_device_is_waited_for_and_a_pool_tries_elsewhere(
    pool_size: int, expected: OnLost
) -> None:
    assert on_lost_of(None, pool_size) is expected


def test_a_run_that_was_stopped_for_its_device_waits_for_another_unless_nobody_wants_it() -> None:
    assert judge(CANCELED, interrupted=True) is Fate.PREEMPTED
    assert judge(CANCELED, interrupted=True, unwanted=True) is Fate.CANCELED


@pytest.mark.parametrize(
    ("outcome", "expected"), [(DONE, Fate.DONE), (FAILED, Fate.FAILED), (LOST, Fate.LOST)]
)
def test_a_run_that_ended_by_itself_while_it_was_being_stopped_ended_so(
    outcome: Done | Failed | Lost, expected: Fate
) -> None:
    assert judge(outcome, interrupted=True) is expected
