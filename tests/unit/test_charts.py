"""What charts show, whatever results give."""

import math

from hypothesis import given
from hypothesis import strategies as some

from orchestrator.api.portal.charts import (
    BINS,
    POINTS_MOST,
    convergence,
    counts_in,
    histogram,
    shortened,
    spark,
    ticks,
    timeline,
)

COUNTS = some.dictionaries(some.text(max_size=20), some.integers(1, 10**6), min_size=1, max_size=40)
FINITE = some.floats(-1e290, 1e290)


def test_only_counts_of_outcomes_are_a_histogram() -> None:
    assert counts_in({"counter": {"01": 3, "10": 0}}) == {"01": 3}
    assert counts_in({"counts": {"a": 1}}) == {"a": 1}
    odd: tuple[object, ...] = (
        [],
        5,
        {},
        {"counter": {}},
        {"counter": {"0": 1.5}},
        {"counter": {"0": True}},
    )
    more = ({"counter": {"0": -1}}, {"counter": {"0": "3"}}, {"counter": [1]}, {"counter": None})
    assert [counts_in(each) for each in (*odd, *more)] == [{}] * 10


def test_the_most_frequent_come_first_and_the_others_are_summed() -> None:
    found = histogram({"00": 5, "01": 40, "10": 5, "11": 50}, top=2)
    assert found is not None
    assert [(bar.outcome, bar.seen, bar.share, bar.length) for bar in found.bars] == [
        ("11", 50, 50.0, 100.0),
        ("01", 40, 40.0, 80.0),
    ]
    assert (found.others, found.rest, found.rest_share, found.total) == (2, 10, 10.0, 100)


@given(COUNTS)
def test_no_count_is_lost_in_a_histogram(counts: dict[str, int]) -> None:
    found = histogram(counts, top=8)
    assert found is not None
    assert sum(bar.seen for bar in found.bars) + found.rest == sum(counts.values())
    assert len(found.bars) + found.others == len(counts)
    assert all(0 < bar.length <= 100 for bar in found.bars)


def test_a_long_outcome_shows_its_beginning_and_its_end() -> None:
    assert shortened("0" * 16) == "0" * 16
    assert shortened("1" + "0" * 40 + "1") == "1000000…00000001"


def test_a_place_in_a_spark_means_the_same_outcomes_in_every_job() -> None:
    few, many = spark({"0011": 1, "1111": 2}), spark({"0011": 7})
    assert many[0].x == few[0].x
    assert few[1].height == 100.0
    assert spark({"1" * 60: 1})[0].x == round((BINS - 1) * 100 / BINS, 2)


@given(COUNTS)
def test_a_spark_stays_within_its_area(counts: dict[str, int]) -> None:
    assert all(
        bar.x >= 0 and bar.x + bar.width <= 100.1 and 0 <= bar.height <= 100
        for bar in spark(counts)
    )


def test_the_best_so_far_never_rises() -> None:
    curve = convergence([(1, -1.0), (2, 3.0), (4, -2.0), (5, 0.0)])
    assert curve is not None
    assert (curve.lowest.ordinal, curve.lowest.value, curve.jobs) == (4, -2.0, 4)
    downs = [float(point.split(",")[1]) for point in curve.best.split()]
    assert downs == sorted(downs)
    assert [mark.x for mark in curve.marks] == [0.0, 25.0, 75.0, 100.0]


def test_a_curve_of_very_many_jobs_keeps_the_best_of_each_few() -> None:
    curve = convergence([(n, float((n * 7919) % 10_007)) for n in range(1, 10_001)])
    assert curve is not None
    assert len(curve.marks) <= POINTS_MOST
    assert curve.folded
    assert curve.lowest.value == 1.0


@given(some.lists(some.tuples(some.integers(1, 10**6), FINITE), min_size=1, max_size=50))
def test_every_mark_of_a_curve_lies_within_its_area(points: list[tuple[int, float]]) -> None:
    curve = convergence(sorted(dict(points).items()))
    assert curve is not None
    assert all(-0.1 <= mark.x <= 100.1 and -0.1 <= mark.y <= 100.1 for mark in curve.marks)
    assert len(curve.xs) <= 12


def test_what_is_no_number_has_no_curve() -> None:
    assert convergence([]) is None
    assert convergence([(1, math.nan), (2, math.inf)]) is None


@given(FINITE, FINITE)
def test_ticks_are_few_and_enclose_what_they_measure(one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = ticks(low, high)
    slack = (found[-1] - found[0]) * 1e-6
    assert 2 <= len(found) <= 8
    assert found[0] <= low + slack
    assert found[-1] >= high - slack


def test_a_short_run_after_a_long_wait_is_still_seen() -> None:
    wait, run = timeline([("wait", "waited", 0.0, 1000.0), ("run", "run 1", 1000.0, 1000.01)])
    assert run.width >= 1
    assert math.isclose(wait.width + run.width, 100)
    assert math.isclose(run.seconds, 0.01, rel_tol=1e-6)
