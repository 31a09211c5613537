"""What a lane says of a device's past."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from orchestrator.domain.lane import Outage, Span, Stay, Told, outages, stays, ticks, use

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
A, B = UUID(int=1), UUID(int=2)


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


HOUR = Span(at(0), at(60))


def told(minute: float, kind: str, batch: UUID | None = None, **detail: Any) -> Told:
    return Told(at(minute), kind, batch, detail or None)


def stay(begin: float, end: float | None, batch: UUID = A) -> Stay:
    return Stay(batch, at(begin), None if end is None else at(end))


def test_a_stay_ends_when_its_batch_leaves() -> None:
    events = [told(5, "admitted", A), told(9, "drained", A), told(20, "admitted", B)]
    assert stays(events, {A: at(9)}, B) == [stay(5, 9), stay(20, None, B)]


def test_a_batch_that_was_canceled_elsewhere_left_when_it_was_over() -> None:
    events = [told(5, "admitted", A), told(20, "admitted", B)]
    assert stays(events, {A: at(12)}, B)[0] == stay(5, 12)


def test_who_comes_next_ends_the_stay_of_one_that_ran_on_elsewhere() -> None:
    events = [told(5, "joined", A), told(20, "admitted", B)]
    assert stays(events, {A: at(50)}, B)[0] == stay(5, 20)


def test_a_batch_that_came_back_stayed_twice() -> None:
    events = [told(5, "admitted", A), told(9, "paused", A), told(30, "admitted", A)]
    assert stays(events, {}, A) == [stay(5, 9), stay(30, None)]


def test_a_batch_that_was_over_before_it_came_back_is_not_over_before_it_began() -> None:
    events = [told(30, "admitted", A)]
    assert stays(events, {A: at(10)}, A) == [stay(30, None)]


def test_a_device_without_events_was_all_the_time_as_it_is_now() -> None:
    assert outages([], HOUR, service="active", online=True) == []
    (whole,) = outages([], HOUR, service="active", online=False)
    assert whole == Outage("offline", at(0), at(60), None)


def test_a_pause_tells_its_reason() -> None:
    events = [told(10, "paused", reason="laser", was="active"), told(25, "active", was="paused")]
    found = outages(events, HOUR, service="active", online=True)
    assert found == [Outage("paused", at(10), at(25), "laser")]


def test_what_ended_in_the_span_had_begun_before_it() -> None:
    events = [told(25, "active", was="paused"), told(40, "online", was="offline")]
    found = outages(events, HOUR, service="active", online=True)
    assert [each[:3] for each in found] == [
        ("paused", at(0), at(25)),
        ("offline", at(25), at(40)),
    ]


def test_a_paused_batch_is_no_pause_of_the_device() -> None:
    assert outages([told(10, "paused", A)], HOUR, service="active", online=True) == []


def test_a_new_device_was_not_away_before_it_came() -> None:
    events = [told(10, "online", was="new"), told(20, "offline"), told(30, "online", was="offline")]
    assert [each[:3] for each in outages(events, HOUR, service="active", online=True)] == [
        ("offline", at(20), at(30))
    ]


def test_a_worker_that_changed_without_a_gap_was_never_away() -> None:
    events = [told(10, "online", was="online")]
    assert outages(events, HOUR, service="active", online=True) == []


@pytest.mark.parametrize(
    ("stayed", "utilisation", "overhead"),
    [
        ([], 0.0, None),
        ([(stay(0, 30), 900.0)], 0.25, 0.5),
        ([(stay(-30, 30), 900.0)], 0.25, 0.5),
        ([(stay(30, None), 1800.0)], 0.5, 0.0),
        ([(stay(0, 30), 1800.0), (stay(30, 60, B), 0.0)], 0.5, 0.5),
        ([(stay(-30, -10), 600.0)], 0.0, None),
    ],
)
def test_use_counts_what_lies_within(
    stayed: list[tuple[Stay, float]], utilisation: float, overhead: float | None
) -> None:
    assert use(stayed, HOUR) == pytest.approx((utilisation, overhead))


def test_no_stay_was_busier_than_it_was_long() -> None:
    assert use([(stay(0, 10), 10_000.0)], HOUR) == pytest.approx((1 / 6, 0.0))


def test_marks_are_full_hours_and_none_is_at_the_edge() -> None:
    span = Span(at(-350), at(10))
    found = ticks(span, timedelta(hours=1))
    assert [each.minute for each in found] == [0] * len(found)
    assert found[0] == at(-300) and found[-1] == at(0)
