"""Clocks that are wrong, each on a machine of its own."""

import sys
from pathlib import Path

from tests.chaos import stepped
from tests.e2e.stack import running_stack
from tests.waiting import until


def test_a_beat_whose_clock_is_an_hour_behind_is_heard(tmp_path: Path) -> None:
    """Its word carried a time of its own clock, after which control threw it away."""
    with running_stack(tmp_path) as stack:
        beat = stack.parts["beat"]
        beat.stop()
        beat.program = (sys.executable, "-P", Path(stepped.__file__), "-3600")
        beat.start()
        stack.worker("dev")
        stack.online("dev")
        with stack.client() as client:
            client.create_batch("TEST", open=True, idle_timeout_s=1)
        until(lambda: stack.sql("SELECT status FROM batch") == [("TIMED_OUT",)], 20)
