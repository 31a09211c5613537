"""Failpoints: what may be asked for, and when it happens."""

import pytest

from schemas import failpoint
from schemas.failpoint import BadFailpoints, Injected


def passes(env: str, n: int, *, seed: str = "1", name: str = "worker.began") -> list[int]:
    """On which of n passes it struck."""
    failpoint.arm({failpoint.VARIABLE: env, failpoint.SEED: seed})
    struck = []
    try:
        for each in range(1, n + 1):
            try:
                failpoint.reach(name)
            except Injected:
                struck.append(each)
    finally:
        failpoint.arm({})
    return struck


def test_nothing_happens_where_nothing_is_armed() -> None:
    assert passes("", 3) == []


def test_one_strikes_on_every_pass_unless_told_otherwise() -> None:
    assert passes("worker.began=raise", 3) == [1, 2, 3]


def test_one_strikes_on_the_pass_that_was_asked_for_only() -> None:
    assert passes("worker.began=raise@2", 5) == [2]


def test_chance_is_the_same_for_the_same_seed() -> None:
    first = passes("worker.began=raise:0.2", 200, seed="7")
    assert first == passes("worker.began=raise:0.2", 200, seed="7")
    assert first != passes("worker.began=raise:0.2", 200, seed="8")
    assert 15 < len(first) < 70


def test_several_are_armed_at_once() -> None:
    assert passes("tx.committed=raise@1; worker.began=raise@3", 4) == [3]


@pytest.mark.parametrize(
    "wrong",
    [
        "worker.bega=kill",
        "worker.began",
        "worker.began=die",
        "worker.began=sleep",
        "worker.began=kill@0",
        "worker.began=raise:2",
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_names_there_are(wrong: str) -> None:
    with pytest.raises(BadFailpoints, match=r"worker\.settled"):
        failpoint.arm({failpoint.VARIABLE: wrong})
