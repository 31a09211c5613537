"""Simulated histories of the whole plane; `make sim SEEDS=n` plays more of them."""

import subprocess
import sys

import pytest

from tests.sim import history, script
from tests.sim.device import Violation
from tests.sim.script import Step
from tests.sim.world import World

SEEDS = 20_000


@pytest.mark.timeout(900)
def test_no_invariant_breaks_in_twenty_thousand_histories() -> None:
    words = [sys.executable, "-m", "tests.sim", "--seeds", str(SEEDS)]
    played = subprocess.run(words, capture_output=True, text=True, timeout=880)
    assert played.returncode == 0, played.stderr
    assert f"{SEEDS:,} histories" in played.stdout


def test_one_seed_is_one_history() -> None:
    first, again = World(), World()
    history.play(first, script.write(7))
    history.play(again, script.write(7))
    assert first.rows.events == again.rows.events
    assert first.floor.history == again.floor.history


def test_what_can_go_wrong_does() -> None:
    """A simulation in which nothing is ever lost, late or doubled proves nothing."""
    seen: set[str] = set()
    for seed in range(300):
        world = World()
        history.play(world, script.write(seed))
        seen |= {event.kind for event in world.rows.events}
    assert seen >= {"lost", "late", "offline", "preempted", "paused", "idled", "overran", "revived"}


def test_a_failing_history_is_shrunk_to_the_steps_that_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nobody_flushes(world: World, x: float) -> None:
        raise Violation("(0) flushed")

    monkeypatch.setitem(script.DEEDS, "flush", nobody_flushes)
    steps = [Step("work", 0.5, 0.1)] * 20 + [Step("flush", 0.5, 0.1)] + [Step("look", 0.5, 0.1)] * 9
    assert [step.kind for step in history.shrink(steps)] == ["flush"]
