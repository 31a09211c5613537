"""Every guard is needed: with it its history is sound, without it an invariant breaks."""

import importlib

import pytest

from tests.sim import history
from tests.sim.guarded import GUARDS, Guard, histories
from tests.sim.guards import without

HISTORIES = histories()


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_its_history_is_sound_with_it(guard: Guard) -> None:
    assert history.verdict(HISTORIES[guard.name]) is None


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_its_history_goes_wrong_without_it(guard: Guard) -> None:
    with without(importlib.import_module(guard.module), guard.text, guard.instead):
        assert history.verdict(HISTORIES[guard.name]) is not None


def test_a_guard_that_is_no_longer_in_the_source_is_told() -> None:
    module = importlib.import_module("orchestrator.domain.seat")
    with pytest.raises(AssertionError, match="0 x"), without(module, "no such text", ""):
        pass
