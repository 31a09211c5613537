"""`verify` against logs that tell something else than what happened, or than the database."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.services.core import Core
from schemas.witness import Began, Entry, Finished, Opened
from tests.integration.proven import Proven, named, rows

CHAIN = (0, "logs are unbroken")
ENDED = (0, "what ends has begun")
FENCE = (1, "a fence is of one batch, by witness")
SEAT = (1, "who ran had the seat")
FENCES = (2, "fences only grow")
ALONE = (2, "one run at a time")
OVERLAP = (2, "runs do not overlap")
NODES = (2, "nor between nodes")
ONCE = (5, "a run begins once")
ASKED = (5, "what ran was asked for")
DISPUTED = (5, "results are the witness's")
MISSING = (5, "results were witnessed")
UNTOLD = (5, "all results are told of")
HOME = (8, "ends come home")


@pytest.fixture
def past(core: Core, tmp_path: Path) -> Iterator[Proven]:
    made = Proven.lived(core, tmp_path / "journals")
    yield made
    made.device.journal.close()


def began(entries: Sequence[Entry], job: str) -> Began:
    return next(each for each in entries if isinstance(each, Began) and each.job == job)


def finished(entries: Sequence[Entry], job: str) -> Finished:
    return next(each for each in entries if isinstance(each, Finished) and each.job == job)


def opening(entries: Sequence[Entry]) -> Opened:
    first = entries[0]
    assert isinstance(first, Opened)
    return first


def instead(entries: Sequence[Entry], old: Entry, *new: Entry) -> list[Entry]:
    place = entries.index(old)
    return [*entries[:place], *new, *entries[place + 1 :]]


def test_a_changed_byte_is_found(past: Proven) -> None:
    log = past.log()
    log.write_bytes(log.read_bytes().replace(b'"end":"done"', b'"end":"lost"', 1))
    found = past.verify().violations
    assert CHAIN in named(found)
    assert rows(found, CHAIN[1])[0]["journal"] == past.journal


@pytest.mark.parametrize("line", [0, 3])
def test_a_line_that_was_taken_out_is_found(past: Proven, line: int) -> None:
    lines = past.log().read_bytes().splitlines(keepends=True)
    past.log().write_bytes(b"".join(lines[:line] + lines[line + 1 :]))
    assert CHAIN in named(past.verify().violations)


def test_a_log_that_nobody_opened_is_found(past: Proven) -> None:
    past.forge(lambda entries: entries[1:])
    assert CHAIN in named(past.verify().violations)


def test_a_log_of_another_device_is_found(past: Proven) -> None:
    past.write("copied", past.entries(), device="dev-9")
    found = past.verify().violations
    assert CHAIN in named(found)
    assert rows(found, CHAIN[1])[0]["device"] == "dev-9"


def test_an_end_without_a_beginning_is_found(past: Proven) -> None:
    job = past.jobs(past.done[0])[1]
    past.forge(lambda all: instead(all, began(all, job)))
    found = past.verify().violations
    assert ENDED in named(found)
    assert rows(found, ENDED[1])[0]["job"] == job


def test_a_fence_under_which_two_batches_ran_is_found(past: Proven) -> None:
    past.forge(lambda all: [e if isinstance(e, Opened) else e._replace(fence=1) for e in all])
    found = past.verify().violations
    assert FENCE in named(found)
    assert rows(found, FENCE[1])[0]["fence"] == 1


def test_a_run_under_a_fence_that_its_batch_never_had_is_found(past: Proven) -> None:
    past.change("""UPDATE event SET detail = NULL WHERE batch_id = :b""", b=past.done[1])
    found = past.verify().violations
    assert named(found) == {SEAT}
    assert rows(found, SEAT[1])[0]["batch"] == str(past.done[1])


def test_fences_that_go_back_are_found(past: Proven) -> None:
    job = past.jobs(past.done[1])[0]

    def older(all: list[Entry]) -> list[Entry]:
        start, end = began(all, job), finished(all, job)
        return instead(instead(all, start, start._replace(fence=0)), end, end._replace(fence=0))

    past.forge(older)
    found = past.verify().violations
    assert FENCES in named(found)
    assert rows(found, FENCES[1])[0]["job"] == job


def test_a_run_that_begins_while_another_runs_is_found(past: Proven) -> None:
    first, second, _ = past.jobs(past.done[0])
    past.forge(
        lambda all: instead(
            instead(all, finished(all, first)), began(all, second), began(all, second)
        )
    )
    found = past.verify().violations
    assert ALONE in named(found)
    assert rows(found, ALONE[1])[0]["unfinished"] == first


def test_two_processes_of_one_node_that_ran_at_the_same_time_are_found(past: Proven) -> None:
    all = past.entries()
    first, second, _ = past.jobs(past.done[0])
    end, start = finished(all, first), began(all, second)
    moved: list[Entry] = [
        opening(all)._replace(journal="twin"),
        start._replace(mono=end.mono - 0.0001),
    ]
    kept = instead(instead(all, start), finished(all, second))
    past.write("twin", [*moved, finished(all, second)])
    past.write(past.journal, kept)
    found = past.verify().violations
    assert OVERLAP in named(found)
    assert (rows(found, OVERLAP[1])[0]["before_job"], rows(found, OVERLAP[1])[0]["job"]) == (
        first,
        second,
    )


def on_two_nodes(past: Proven, **late: float) -> str:
    """The first job, whose end is so much later than it was; the second ran on another node."""
    all = past.entries()
    first, second, _ = past.jobs(past.done[0])
    long = finished(all, first)
    kept = instead(instead(all, began(all, second)), finished(all, second))
    changed = {name: getattr(long, name) + by for name, by in late.items()}
    past.write(past.journal, instead(kept, long, long._replace(**changed)))
    opened = opening(all)._replace(journal="twin", boot="another")
    past.write("twin", [opened, began(all, second), finished(all, second)])
    return first


def test_two_nodes_that_ran_at_the_same_time_are_found(past: Proven) -> None:
    first = on_two_nodes(past, at=60, mono=60)
    found = past.verify().violations
    assert NODES in named(found)
    assert rows(found, NODES[1])[0]["before_job"] == first


def test_an_end_that_was_written_down_late_is_no_overlap_between_nodes(past: Proven) -> None:
    on_two_nodes(past, at=60)
    assert NODES not in named(past.verify().violations)


def test_a_run_that_began_on_two_disks_is_found(past: Proven) -> None:
    all = past.entries()
    job = past.jobs(past.done[0])[0]
    past.write("twin", [opening(all)._replace(journal="twin"), began(all, job), finished(all, job)])
    found = past.verify().violations
    assert ONCE in named(found)
    assert rows(found, ONCE[1])[0] == {
        "job": job,
        "run": 1,
        "times": 2,
        "journals": 2,
        "device": "dev-1",
        "other_device": "dev-1",
    }


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"job": "00000000-0000-0000-0000-00000000000f"}, "the database knows no such job"),
        ({"run": 2}, "this run was never staged"),
        ({"batch": "00000000-0000-0000-0000-00000000000f"}, "the job is of another batch"),
    ],
)
def test_a_run_that_nobody_asked_for_is_found(
    past: Proven, change: dict[str, Any], why: str
) -> None:
    job = past.jobs(past.done[0])[0]

    def other(all: list[Entry]) -> list[Entry]:
        start, end = began(all, job), finished(all, job)
        return instead(instead(all, start, start._replace(**change)), end, end._replace(**change))

    past.forge(other)
    found = past.verify().violations
    assert ASKED in named(found)
    assert rows(found, ASKED[1])[0]["why"] == why


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"end": "failed", "sha256": None}])
def test_a_result_that_the_witness_disputes_is_found(past: Proven, change: dict[str, Any]) -> None:
    job = past.jobs(past.done[0])[0]
    past.forge(lambda all: instead(all, finished(all, job), finished(all, job)._replace(**change)))
    found = past.verify().violations
    assert named(found) == {DISPUTED}
    assert rows(found, DISPUTED[1])[0]["job"] == job


def test_a_result_that_was_not_witnessed_is_found(past: Proven) -> None:
    job = past.jobs(past.done[0])[0]

    def without(all: list[Entry]) -> list[Entry]:
        later = [
            e
            if isinstance(e, Opened) or e.job in past.jobs(past.done[0])
            else e._replace(at=e.at + 1)
            for e in all
        ]
        return instead(instead(later, began(later, job)), finished(later, job))

    past.forge(without)
    found = past.verify().violations
    assert MISSING in named(found)
    assert rows(found, MISSING[1])[0]["job"] == job


def test_an_end_that_may_be_on_its_way_is_told_of_and_no_violation(past: Proven) -> None:
    past.forge(lambda all: all[:-3])
    report = past.verify()
    assert report.clean
    assert named(report.warnings) == {UNTOLD}


def test_what_is_younger_than_the_lag_need_not_be_witnessed_yet(past: Proven) -> None:
    past.forge(lambda all: all[:-3])
    assert past.verify(patience=None).warnings == []


def test_an_end_that_never_came_home_is_found(past: Proven) -> None:
    all = past.entries()
    last = all[-1]
    assert isinstance(last, Began)
    past.write(past.journal, [*all, Finished(*last, end="done", sha256="0" * 64)])
    past.swept()
    found = past.verify().violations
    assert named(found) == {HOME}
    assert rows(found, HOME[1])[0]["job"] == last.job
