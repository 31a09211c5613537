"""What a line of the log says, and what it never does."""

import json
import logging
import sys
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import pytest

from schemas import logs

KEY = "av_8yN5zR0vQm3Xb7LkT1cW9pJdEhGuSaFo-2iV_4x8m2"


def line(*said: object, error: BaseException | None = None, secrets: tuple[str, ...] = ()) -> Any:
    formatter = logs.JsonLines("api", secrets)
    return json.loads(formatter.format(record(*said, error=error)))


def text(*said: object, error: BaseException | None = None) -> str:
    return logs.TextLines("api", ()).format(record(*said, error=error))


def record(message: object, *values: object, error: BaseException | None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("a.b", logging.WARNING, "here.py", 1, message, values, info)


def raised(work: Callable[[], object]) -> Exception:
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_every_line_has_the_same_keys_whatever_it_is_about() -> None:
    assert {name: line("well")[name] for name in logs.ALWAYS} == dict.fromkeys(logs.ALWAYS)
    with logs.about(project="p", batch="b"), logs.about(job="j", run=2, device="d"):
        known = line("well")
    assert {name: known[name] for name in logs.ALWAYS} == {
        **{"project": "p", "batch": "b"},
        **{"job": "j", "run": 2},
    }
    assert known["device"] == "d" and known["event"] == "well" and known["process"] == "api"
    assert line("after")["job"] is None


def test_text_says_only_what_is_known() -> None:
    with logs.about(device="d", job="j", project="p"):
        assert text("window %d", 7).endswith(" WARNING a.b window 7 project=p job=j device=d")
    assert text("window %d", 7).endswith(" WARNING a.b window 7")


def test_an_error_is_told_with_what_it_was_about_by_whoever_catches_it() -> None:
    def work() -> None:
        with logs.about(batch="b", job="j"):
            raise ValueError("broken")

    known = line("sweep failed", error=raised(work))
    assert (known["batch"], known["job"]) == ("b", "j")
    assert "ValueError: broken" in known["error"]


def test_what_one_thread_of_a_request_finds_out_the_others_know() -> None:
    with logs.about(request="r"):
        copy_context().run(lambda: logs.note(project="p"))
        assert line("well")["project"] == "p"
    logs.note(project="of nothing")
    assert line("after")["project"] is None


@pytest.mark.parametrize(
    "secret",
    [
        f"{KEY}",
        f"Authorization: Bearer {KEY[3:]}",
        "redis://:hun/ter2@broker:6379/0",
        "postgresql+psycopg://holdfast:hunter2@db:5432/holdfast",
        "host=db password=hunter2 dbname=x",
        "{'password': 'hunter2', 'user': 'ada'}",
        'GET /v1/results/1?expires=9&signature=hunter2 "HTTP/1.1"',
        "?X-Amz-Credential=hunter2/eu&X-Amz-Signature=hunter2",
        "eyJhbGciOiJIUzI1NiJ9.hunter2hunter2.hunter2",
        "rn_hunter2hunter2hunter2",
        "ct_hunter2hunter2hunter2",
        "hf_hunter2hunter2hunter2",
        "whsec_hunter2hunter2hunter2=",
        "Cookie: holdfast_session=hunter2; x=1",
        "the one that was told to us: plain-words",
    ],
)
def test_no_secret_is_in_a_line_nor_in_its_error(secret: str) -> None:
    def fail() -> None:
        raise OSError(f"could not use {secret}")

    for said in (f"met {secret}", "met %s"):
        values = (secret,) if "%s" in said else ()
        told = str(line(said, *values, error=raised(fail), secrets=("plain-words",)))
        assert "***" in told
        for word in ("hunter2", "hun/ter2", KEY[3:], "plain-words"):
            assert word not in told


@pytest.mark.parametrize(
    "harmless",
    [
        "window 7 of emu-a: 3 jobs, session 5f0e2b7a-1111-4222-8333-944455556666",
        "GET https://holdfast.example.org:8000/v1/batches?limit=50&status=DONE",
        "connected to redis://broker:6379/0",
        "the token is of no user; secret of the trade: work",
    ],
)
def test_what_is_no_secret_is_told_as_it_is(harmless: str) -> None:
    assert line(harmless)["event"] == harmless


def test_nobody_can_feign_a_line() -> None:
    said = "%s broke"
    name = "x\n2026-01-01 00:00:00,000 CRITICAL api all is lost"
    first, *others = text(said, name).split("\n")
    assert "CRITICAL" not in first
    assert others and all(each.startswith(" ") for each in others)
    assert "\n" not in logs.JsonLines("api", ()).format(record(said, name, error=None))


def test_values_that_do_not_fit_are_still_a_line() -> None:
    assert line("%d of %d", "x")["event"] == "'%d of %d', with values that do not fit"


def test_what_is_printed_and_what_a_process_dies_of_are_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    for name in ("stdout", "__stdout__", "excepthook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr("threading.excepthook", None)
    before, level = root.handlers[:], root.level
    root.handlers[:] = []
    try:
        logs.configure("api", format="json")
        print("half", end="")
        print(" a line")
        sys.excepthook(ValueError, ValueError(f"dies with {KEY}"), None)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(False)
    printed, died = (json.loads(each) for each in capsys.readouterr().err.splitlines())
    assert printed["event"] == "half a line"
    assert died["level"] == "CRITICAL" and "ValueError: dies with av_***" in died["error"]
