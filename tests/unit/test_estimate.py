"""The rules of estimates: a queue played through by lot, and why a batch waits."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.estimate import (
    Crowd,
    Expected,
    Held,
    Seat,
    Stay,
    Times,
    Waiting,
    Work,
    simulate,
    times,
)
from orchestrator.domain.why import PoolDevice, Wait, reasons, sentence

TEN = Work(1, (10.0,))


def exactly(start: float, end: float) -> Expected:
    return Expected(Times(start, start), Times(end, end))


def played(seats: list[Seat], *queue: Waiting | Crowd) -> dict[object, Expected]:
    return simulate(seats, queue, Random("seed"))


def waiting(name: str, work: Work = TEN, **fields: Any) -> Waiting:
    return Waiting(name, work, **fields)


def test_with_one_device_each_batch_begins_when_the_one_before_it_ends() -> None:
    three = Work(3, (10.0,), gaps=(1.0,))
    found = played([Seat("a")], waiting("first", three), waiting("second"), waiting("third"))
    assert found == {
        "first": exactly(0, 32),
        "second": exactly(32, 42),
        "third": exactly(42, 52),
    }


def test_the_sum_of_many_jobs_is_exact_where_all_took_as_long() -> None:
    assert played([Seat("a")], waiting("x", Work(1000, (2.0, 2.0))))["x"] == exactly(0, 2000)


def test_what_a_device_holds_is_waited_for_less_what_its_job_has_run() -> None:
    held = Held("now", Work(3, (10.0,)), running_s=4)
    found = played([Seat("a", held=held)], waiting("next"))
    assert found == {"now": exactly(0, 26), "next": exactly(26, 36)}


def test_the_device_that_is_free_first_takes_the_next_batch() -> None:
    seats = [Seat("a", held=Held("now", TEN)), Seat("b")]
    found = played(seats, waiting("first"), waiting("second"), waiting("third"))
    assert (found["first"], found["second"]) == (exactly(0, 10), exactly(10, 20))
    assert found["third"] == exactly(10, 20)


def test_a_pinned_batch_waits_for_its_device_and_lets_others_pass() -> None:
    seats = [Seat("a", held=Held("now", TEN)), Seat("b")]
    found = played(seats, waiting("pinned", device="a"), waiting("any"))
    assert (found["pinned"], found["any"]) == (exactly(10, 20), exactly(0, 10))


def test_lanes_share_the_work_and_a_lane_that_is_free_later_takes_less() -> None:
    seats = [Seat("a"), Seat("b", held=Held("now", TEN)), Seat("c", held=Held("long", TEN))]
    wide = waiting("wide", Work(3, (10.0,)), lanes=2)
    assert played(seats, wide)["wide"] == exactly(0, 20)
    assert played([Seat("a")], wide)["wide"] == exactly(0, 30)


def test_a_device_out_of_service_takes_nobody_and_what_it_holds_still_ends() -> None:
    seats = [Seat("a", takes=False, held=Held("now", TEN)), Seat("b")]
    found = played(seats, waiting("first"), waiting("pinned", device="a"), waiting("second"))
    assert found == {"now": exactly(0, 10), "first": exactly(0, 10), "second": exactly(10, 20)}
    assert played([Seat("a", takes=False)], waiting("x")) == {}


def test_a_higher_priority_gets_the_seat_after_the_present_job_and_the_batch_goes_on_after_it() -> (
    None
):
    held = Held("low", Work(3, (10.0,)), running_s=4, seq=1, preemptible=True)
    high = waiting("high", priority=5, seq=3)
    found = played([Seat("a", held=held)], high, waiting("later", seq=2))
    assert (found["high"].start.p50, found["high"].end.p50) == (6, 16)
    assert found["low"].end.p50 == 36
    assert found["later"].start.p50 == 36


def test_an_equal_priority_and_one_that_finds_a_free_device_take_no_seat() -> None:
    held = Held("low", Work(3, (10.0,)), preemptible=True)
    assert played([Seat("a", held=held)], waiting("same"))["same"] == exactly(30, 40)
    high = waiting("high", priority=5)
    found = played([Seat("a", held=held), Seat("b")], high)
    assert (found["high"], found["low"]) == (exactly(0, 10), exactly(0, 30))


def test_an_open_batch_stays_as_long_as_others_did_that_had_stayed_so_long() -> None:
    stay = Stay(past=(20.0, 100.0), most=300, so_far=40)
    found = played([Seat("a", held=Held("open", Work(0, (10.0,), stay=stay)))], waiting("next"))
    assert found["next"].start == (60, 60)


def test_an_open_batch_that_nothing_is_known_of_goes_before_its_idle_deadline() -> None:
    held = Held("open", Work(0, (10.0,), stay=Stay(past=(), most=30)))
    start = played([Seat("a", held=held)], waiting("next"))["next"].start
    assert 5 < start.p50 < start.p90 < 30


def test_a_batch_is_ended_when_it_overruns() -> None:
    held = Held("long", Work(9, (100.0,)), cap_s=50)
    assert played([Seat("a", held=held)], waiting("next"))["next"].start == (50, 50)


def test_a_crowd_counts_as_its_jobs_one_by_one_would() -> None:
    crowd = Crowd(batches=10_000, jobs=20_000, squares=40_000, opens=0, work=TEN)
    found = played([Seat("a"), Seat("b")], waiting("first"), crowd, waiting("last"))
    assert found["last"].start.p50 == pytest.approx(100_005)


def test_jobs_of_an_unknown_program_are_taken_to_be_alike() -> None:
    mixed = (1.0, 9.0) * 32
    known = played([Seat("a")], waiting("x", Work(100, mixed)))["x"].end
    alike = played([Seat("a")], waiting("x", Work(100, mixed, alike=True)))["x"].end
    assert alike.p90 == 900
    assert 500 < known.p90 < 600


def test_what_few_durations_leave_in_doubt_does_not_even_out_over_a_long_queue() -> None:
    few, many = Work(1, (8.0, 10.0, 12.0)), Work(1, (8.0, 10.0, 12.0) * 20)
    spans = []
    for work in (few, many):
        queue = [waiting(str(n), work) for n in range(200)]
        start = played([Seat("a")], *queue, waiting("last"))["last"].start
        spans.append(start.p90 - start.p50)
    assert spans[0] > 3 * spans[1] > 0


def test_a_job_of_a_device_whose_clock_was_wrong_foretells_nothing_beyond_the_calendar() -> None:
    decades = Work(1000, (1.7e9,), alike=True)
    found = played([Seat("a")], waiting("first", decades), waiting("second"))["second"]
    assert datetime.now(UTC) + timedelta(seconds=found.end.p90) < datetime(3000, 1, 1, tzinfo=UTC)


def test_quantiles_are_figures_that_were_drawn() -> None:
    assert times([float(n) for n in range(100, 0, -1)]) == (50, 90)
    assert times([-1.0, -2.0]) == (0, 0)


seconds = st.lists(st.floats(0, 1e5), max_size=5).map(tuple)
stays = st.none() | st.builds(Stay, seconds, st.floats(0, 1e4), st.floats(0, 1e4))
works = st.builds(Work, st.integers(0, 40), seconds, st.booleans(), seconds, stays)
devices = st.sampled_from(["a", "b", "c"])
helds = st.builds(
    Held,
    st.uuids(),
    works,
    st.none() | st.floats(0, 1e6),
    st.integers(-2, 2),
    st.integers(0, 99),
    st.booleans(),
    st.floats(-10, 1e6),
)
queues = st.lists(
    st.builds(
        Waiting,
        st.uuids(),
        works,
        st.integers(-2, 2),
        st.integers(0, 99),
        st.none() | devices,
        st.integers(1, 4),
    )
    | st.builds(
        Crowd,
        st.integers(1, 99),
        st.integers(0, 999),
        st.integers(0, 9999),
        st.integers(0, 9),
        works,
    ),
    max_size=8,
)


@given(
    st.lists(
        st.builds(Seat, devices, st.booleans(), st.none() | helds), unique_by=lambda s: s.device
    ),
    queues,
    st.integers(),
)
def test_times_never_run_backwards(seats: list[Seat], queue: list[Any], seed: int) -> None:
    ordered = sorted(queue, key=lambda each: -getattr(each, "priority", 0))
    found = simulate(seats, ordered, Random(seed))
    for start, end in found.values():
        assert 0 <= start.p50 <= start.p90
        assert 0 <= end.p50 <= end.p90
        assert start.p50 <= end.p50 and start.p90 <= end.p90
    assert found == simulate(seats, ordered, Random(seed))


def device(name: str = "dev-1", **fields: Any) -> PoolDevice:
    known = {"service": "active", "reason": None, "online": True, "busy": True, "held_open": False}
    return PoolDevice(name=name, **known | fields)


def wait(**fields: Any) -> Wait:
    known = {"device_type": "T", "pinned": None, "lanes": 1, "ahead": 0, "higher_priority": 0}
    return Wait(**known | {"learned": True} | fields)


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("of", "pool", "expected"),
    [
        (wait(is_twin=True), [], [{"code": "twin"}]),
        (wait(ahead=None), [], [{"code": "no_device", "device_type": "T"}]),
        (wait(ahead=None), [device()], [{"code": "device_busy", "device": "dev-1"}]),
        (
            wait(ahead=None, pinned="dev-1"),
            [device(online=False)],
            [{"code": "pinned", "device": "dev-1"}, {"code": "device_offline", "device": "dev-1"}],
        ),
        (
            wait(ahead=None),
            [device(service="paused", reason="laser"), device("b", service="draining")],
            [
                {"code": "device_paused", "device": "dev-1", "reason": "laser"},
                {"code": "device_draining", "device": "b", "reason": None},
            ],
        ),
        (
            wait(ahead=None, lanes=3, learned=False),
            [device(busy=False)],
            [
                {"code": "lanes", "wants": 3, "free": 1},
                {"code": "not_learned", "device_type": "T"},
            ],
        ),
        (
            wait(ahead=3, higher_priority=1),
            [device(held_open=True, idle_deadline=NOON)],
            [
                {"code": "queued", "ahead": 3, "higher_priority": 1},
                {"code": "held_by_open_batch", "device": "dev-1", "idle_deadline": NOON},
            ],
        ),
    ],
)
def test_every_reason_has_its_facts(of: Wait, pool: list[PoolDevice], expected: list[Any]) -> None:
    assert reasons(of, pool) == expected


@pytest.mark.parametrize(
    ("of", "pool", "expected"),
    [
        (wait(), [device()], "it is next; device dev-1 is busy"),
        (
            wait(ahead=1),
            [device(), device("b")],
            "1 batch is ahead of it; all 2 devices that could take it are busy",
        ),
        (
            wait(ahead=3, higher_priority=1, learned=False),
            [device(held_open=True, idle_deadline=NOON)],
            "3 batches are ahead of it, 1 of a higher priority; device dev-1 is held by an open"
            " batch, which times out at 2026-01-01 12:00:00 UTC if left idle; nothing of its type"
            " has been run yet to estimate by",
        ),
    ],
)
def test_a_batch_in_the_queue_reads_why_in_one_sentence(
    of: Wait, pool: list[PoolDevice], expected: str
) -> None:
    assert sentence(reasons(of, pool), pool) == expected
