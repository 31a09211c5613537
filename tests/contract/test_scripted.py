"""The scripted executor, and through it the child process that every executor lives in."""

import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.executor_contract import ExecutorContract, at_once, never, started
from tests.integration.worker_stack import lives
from tests.waiting import until
from workers.executors.base import Work
from workers.executors.child import Broke, Ending, ExecutorChild, Returned, Stopped
from workers.executors.scripted import history


class TestScripted(ExecutorContract):
    executor = "scripted"
    good = {"do": "echo", "runs": 100}  # noqa: RUF012
    bad = {"do": "fail", "reason": "no such register"}  # noqa: RUF012
    bad_reason = "no such register"
    long = {"do": "sleep", "s": 30}  # noqa: RUF012


@pytest.fixture
def child() -> Generator[ExecutorChild]:
    child = started("scripted")
    yield child
    child.close()


def run(child: ExecutorChild, tick: Any = never, **payload: Any) -> Ending:
    assert child.ready(never)
    return child.run(Work(batch="b", shared={}, job="j", run=1, payload=payload), tick)


def test_a_segfault_is_told_by_its_name(child: ExecutorChild) -> None:
    assert run(child, do="segfault") == Broke("the executor process died (signal 11, SIGSEGV)")


def test_a_job_after_a_crash_runs_in_a_new_process(child: ExecutorChild) -> None:
    assert run(child, do="crash", code=7) == Broke("the executor process died (exit code 7)")
    assert isinstance(run(child), Returned)


def test_a_result_that_is_not_a_number_is_refused(child: ExecutorChild) -> None:
    ending = run(child, do="nan")
    assert isinstance(ending, Broke)
    assert ending.reason.startswith("the result is not JSON")


def test_a_result_that_is_too_large_is_refused(child: ExecutorChild) -> None:
    assert run(child, do="big", bytes=2**20) == Broke(
        f"the result has {2**20 + 10} bytes; {2**20} are allowed"
    )


def test_an_exception_becomes_its_type_and_text(child: ExecutorChild) -> None:
    assert run(child, do="raise", reason="oops") == Broke("ZeroDivisionError: oops")


def test_a_job_that_ignores_signals_is_killed_within_a_second(child: ExecutorChild) -> None:
    child.ready(never)
    began = time.monotonic()
    assert run(child, at_once, do="ignore-signals") == Stopped()
    assert time.monotonic() - began < 1.2


def test_what_a_job_started_dies_with_it(child: ExecutorChild, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    ending = run(child, pid_file.exists, do="spawn", wait=True, s=60, pid_file=str(pid_file))
    assert ending == Stopped()
    until(lambda: not lives(int(pid_file.read_text())))


def test_a_leaking_process_is_replaced_after_its_job() -> None:
    child = started("scripted", max_rss_mb=100)
    try:
        before = json.loads(_text(run(child, do="leak", mb=150)))["pid"]
        assert json.loads(_text(run(child, do="leak", mb=1)))["pid"] != before
    finally:
        child.close()


def test_an_executor_that_cannot_start_fails_its_job_with_the_reason() -> None:
    child = started("no-such")
    try:
        ending = run(child)
        assert isinstance(ending, Broke)
        assert "could not start: UnknownExecutor: there is no executor 'no-such'" in ending.reason
    finally:
        child.close()


def test_closing_ends_the_process(child: ExecutorChild) -> None:
    run(child)
    pid = child.pid
    assert pid is not None
    child.close()
    assert not lives(pid)


def test_the_log_shows_when_the_device_began_and_ended(
    child: ExecutorChild, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    run(child, do="noop", log=str(log))
    assert [line["what"] for line in history(log)] == ["began", "ended"]


@pytest.mark.parametrize("do", ["noop", "fail", "raise", "nan", "crash"])
def test_a_job_is_over_between_its_last_deed_and_the_answer(
    child: ExecutorChild, tmp_path: Path, do: str
) -> None:
    log = tmp_path / "log"
    ending = run(child, do=do, log=str(log))
    assert history(log)[-1]["at"] < ending.ended + 0.001
    assert ending.ended < time.monotonic()


def test_a_job_that_had_answered_when_it_was_stopped_was_over_by_then(
    child: ExecutorChild, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    asked: list[float] = []

    def stands_still() -> bool:
        until(lambda: log.exists() and history(log)[-1]["what"] == "ended")
        over = time.monotonic() + 0.5
        until(lambda: time.monotonic() > over)
        asked.append(time.monotonic())
        return True

    ending = run(child, stands_still, do="sleep", s=0.5, log=str(log))
    assert isinstance(ending, Stopped)
    assert history(log)[-1]["at"] < ending.ended + 0.001
    assert ending.ended < asked[0]


def _text(ending: Ending) -> bytes:
    assert isinstance(ending, Returned)
    return ending.text
