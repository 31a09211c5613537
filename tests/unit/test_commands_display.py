"""How things look on a terminal."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.commands.display import ago, duration, text

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_a_duration_is_told_in_the_largest_unit_that_fits_twice(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_moment_is_told_from_now() -> None:
    assert ago(NOON - timedelta(seconds=5), NOON).plain == "5 s ago"
    assert ago(NOON + timedelta(minutes=5), NOON).plain == "in 5 min"


def test_what_a_user_wrote_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in text("\x1b]0;title\x07").plain
