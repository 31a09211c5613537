"""What a job costs, in whole numbers."""

from datetime import timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.credit import HOUR_S, core_ms, cost, hold_for, quote

rates = st.integers(1, 10**9)
cores = st.integers(1, 1024)
spans = st.integers(0, 10**12).map(lambda us: timedelta(microseconds=us))


@given(rates, cores, spans)
def test_a_cost_is_the_exact_one_rounded_up_to_a_millisecond_and_a_credit(
    rate: int, n: int, took: timedelta
) -> None:
    exact = Fraction(took // timedelta(microseconds=1), 10**6) * n * rate
    most = exact + Fraction(n * rate, 1000) + 1
    assert exact <= cost(rate, n, took) < most


@given(rates, cores, st.integers(0, HOUR_S * 10**6))
def test_what_is_held_covers_all_that_ends_within_its_hour(rate: int, n: int, us: int) -> None:
    assert cost(rate, n, timedelta(microseconds=us)) <= hold_for(rate, n)


@given(rates, cores, spans, spans)
def test_who_runs_for_longer_never_pays_less(
    rate: int, n: int, one: timedelta, more: timedelta
) -> None:
    assert cost(rate, n, one) <= cost(rate, n, one + more)


def test_clocks_that_differ_cost_nothing() -> None:
    assert core_ms(4, timedelta(seconds=-3)) == cost(10, 4, timedelta(seconds=-3)) == 0


def test_a_quote_counts_only_what_costs_something() -> None:
    found = quote([(10, 2), (0, 4), (10, 1)], 50_000)
    assert (found.required, found.billable_jobs) == (3 * 10 * 3600, 2)
    assert (found.available, found.shortfall) == (50_000, 58_000)
    assert quote([(1, 1)], 10**9).shortfall == 0
