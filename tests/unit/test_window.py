"""How a window grows while jobs are tiny, and is one job while they are long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.window import MAX_WINDOW, next_size

sizes = st.integers(1, MAX_WINDOW)
seconds = st.floats(1e-6, 1e6)


@pytest.mark.parametrize("took_s", [0.26, 1.0, 3600.0])
def test_a_window_of_long_jobs_is_one_job(took_s: float) -> None:
    assert next_size(1, 1, took_s) == 1


def test_tiny_jobs_reach_the_largest_window_after_two_of_them() -> None:
    assert next_size(1, 1, 0.001) == 8
    assert next_size(8, 8, 0.008) == MAX_WINDOW


def test_a_window_grows_no_further_than_fits_into_half_a_second() -> None:
    assert next_size(8, 8, 0.2) == 20


def test_one_window_of_long_jobs_is_enough_to_shrink_it() -> None:
    assert next_size(MAX_WINDOW, MAX_WINDOW, 640.0) == 1


def test_a_last_window_with_few_jobs_does_not_shrink_it() -> None:
    assert next_size(MAX_WINDOW, 1, 0.001) == MAX_WINDOW


@pytest.mark.parametrize(("jobs", "took_s"), [(0, 1.0), (5, 0.0), (5, -1.0)])
def test_a_window_that_says_nothing_changes_nothing(jobs: int, took_s: float) -> None:
    assert next_size(17, jobs, took_s) == 17


@given(sizes, sizes, seconds)
def test_a_window_always_holds_a_job_and_never_too_many(size: int, jobs: int, took: float) -> None:
    assert 1 <= next_size(size, jobs, took) <= MAX_WINDOW


@given(sizes, seconds)
def test_a_full_window_of_the_next_size_is_expected_to_end_in_time(size: int, took: float) -> None:
    following = next_size(size, size, took)
    assert following == 1 or following * took / size <= 0.5 + 1e-9


@given(sizes, sizes, seconds, seconds)
def test_slower_jobs_never_make_a_larger_window(
    size: int, jobs: int, one: float, other: float
) -> None:
    fast, slow = sorted((one, other))
    assert next_size(size, jobs, slow) <= next_size(size, jobs, fast)
