"""docs/states.md is drawn, and is what the moves are."""

from pathlib import Path

import pytest

from orchestrator.domain.draw import COMMAND, PAGE, main, page
from orchestrator.domain.transitions import BATCH_MOVES, JOB_MOVES


def test_the_page_in_the_repository_is_up_to_date() -> None:
    assert main(["--check"]) == 0, f"run `{COMMAND}`"
    assert PAGE.name == "states.md"


def test_drawing_makes_the_check_pass(tmp_path: Path) -> None:
    path = tmp_path / "states.md"
    assert main([], path) == 0
    assert main(["--check"], path) == 0


def test_a_page_that_differs_fails_and_says_what_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "states.md"
    path.write_text(page().replace("admitted", "seated"))
    assert main(["--check"], path) == 1
    assert f"run `{COMMAND}`" in capsys.readouterr().err


def test_a_page_that_is_missing_fails_the_check(tmp_path: Path) -> None:
    assert main(["--check"], tmp_path / "states.md") == 1


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    main(["--check"], tmp_path / "states.md")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("event", [*BATCH_MOVES, *JOB_MOVES])
def test_every_event_has_a_row(event: str) -> None:
    assert f"\n| {event} | " in page()


def test_events_between_the_same_two_states_share_an_arrow() -> None:
    assert page().count("ADMITTED --> TIMED_OUT") == 1
    assert "ADMITTED --> TIMED_OUT: idled, overran\n" in page()


def test_the_page_does_not_depend_on_the_order_of_a_set() -> None:
    assert "| canceled | PENDING, ADMITTED, RUNNING, PAUSED, PREEMPTED | CANCELED |" in page()
