"""What a worker counts of its windows, and the settings of both sides that ask for it."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator import config
from schemas.task import Done, JobTask, Outcome, Result, Settle, Skipped, Window
from workers.config import BadSettings, Settings
from workers.metrics import Figures

WORKER = {"HOLDFAST_BROKER_URL": "redis://127.0.0.1:6379/0", "HOME": "/nowhere"}
ORCHESTRATOR = {
    "HOLDFAST_BROKER_URL": "redis://127.0.0.1:6379/0",
    "HOLDFAST_DATABASE_URL": "postgresql://u:p@h/d",
}
OF = {"device": "dev", "device_type": "T"}


@pytest.fixture
def figures(tmp_path: Path) -> Figures:
    return Figures("dev", "T", journal=tmp_path, held=lambda: False)


def done(job: str, began_at: float, ended_at: float) -> Done:
    result = Result(value=1, size=1, sha256="x")
    return Done(job=job, run=1, began_at=began_at, ended_at=ended_at, result=result)


def come(figures: Figures, number: int, *outcomes: Outcome, after: int | None, at: float) -> None:
    jobs = [JobTask(job=o.job, run=o.run, ordinal=1, payload={}) for o in outcomes]
    given: dict[str, Any] = {
        "device": "dev",
        "session": "s",
        "fence": 1,
        "batch": "b",
        "shared": {},
    }
    window = Window(window=number, jobs=jobs, settled_below=0, after=after, **given)
    settle = Settle(window=number, device="dev", session="s", journal="j", outcomes=list(outcomes))
    figures.note(window, settle, at)


def value(figures: Figures, name: str, **labels: str) -> float | None:
    return figures.registry.get_sample_value(f"holdfast_worker_{name}", {**OF, **labels})


def test_a_gap_is_between_neighbours_of_a_window_and_of_windows_sent_together(
    figures: Figures,
) -> None:
    come(figures, 1, done("a", 10, 11), done("b", 11.5, 12), after=None, at=9)
    come(figures, 2, done("c", 12.25, 13), after=1, at=9)
    assert value(figures, "gap_seconds_count") == 2
    assert value(figures, "gap_seconds_sum") == pytest.approx(0.75)


def test_the_time_in_which_nothing_was_at_hand_is_no_gap(figures: Figures) -> None:
    come(figures, 1, done("a", 10, 11), after=None, at=9)
    come(figures, 2, done("b", 60, 61), after=None, at=59)
    come(figures, 4, done("c", 90, 91), after=3, at=89)
    assert value(figures, "gap_seconds_count") == 0


def test_what_the_journal_knew_is_a_redelivery_and_no_run(figures: Figures) -> None:
    come(figures, 1, done("a", 10, 11), done("b", 12, 13), after=None, at=9)
    come(figures, 1, done("a", 10, 11), done("b", 12, 13), after=None, at=20)
    assert value(figures, "redeliveries_total") == 2
    assert value(figures, "runs_total", outcome="done") == 2
    assert value(figures, "job_seconds_count") == 2


def test_what_did_not_begin_is_skipped_and_takes_no_time(figures: Figures) -> None:
    come(figures, 1, Skipped(job="a", run=1), after=None, at=9)
    assert value(figures, "runs_total", outcome="skipped") == 1
    assert value(figures, "job_seconds_count") == 0


def test_a_standby_and_the_size_of_its_journal(figures: Figures, tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"x" * 100)
    (tmp_path / "journal.db-wal").write_bytes(b"x" * 20)
    (tmp_path / "lock").write_bytes(b"x")
    assert value(figures, "journal_bytes") == 120
    assert value(figures, "session_held") == 0


@pytest.mark.parametrize(
    ("given", "meant"),
    [("0.0.0.0:9102", ("0.0.0.0", 9102)), ("[::1]:80", ("::1", 80)), ("", None)],
)
def test_a_port_for_prometheus_is_a_host_and_a_number(
    given: str, meant: tuple[str, int] | None
) -> None:
    asked = {"HOLDFAST_METRICS": given}
    assert Settings.from_env(WORKER | asked, device="d").metrics == meant
    assert config.Settings.from_env(ORCHESTRATOR | asked).metrics == meant


@pytest.mark.parametrize("given", ["9102", ":9102", "host", "host:", "host:0", "host:70000"])
def test_any_other_is_an_error_that_shows_one(given: str, tmp_path: Path) -> None:
    asked = {"HOLDFAST_METRICS": given}
    with pytest.raises(BadSettings, match=r"HOLDFAST_METRICS must look like 127\.0\.0\.1:9102"):
        Settings.from_env(WORKER | asked, device="d")
    missing = asked | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "none")}
    with pytest.raises(config.BadSettings) as caught:
        config.Settings.from_env(ORCHESTRATOR | missing)
    first, second = caught.value.problems
    assert first.startswith("HOLDFAST_METRICS must look like 127.0.0.1:9101")
    assert second.startswith("PROMETHEUS_MULTIPROC_DIR must be a folder that is there")
