"""Wherever a process dies, hangs or loses an answer, every accepted job ends exactly once."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from schemas.failpoint import POINTS, VARIABLE
from tests.e2e.stack import Part, Stack, check_history, deeds, running_stack
from tests.waiting import until

CONTROL = {"permits.granted": 3, "tx.committed": 9, "chain.published": 3}
"""On which pass control dies: in the middle of a batch, though sweeps commit, too."""
WORKER = tuple(name for name in POINTS if name.startswith("worker."))
JOBS = 20


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The devices' own record: one for all, since the tests come one after the other."""
    return tmp_path_factory.mktemp("log") / "device.log"


def worker(stack: Stack, failpoints: str = "") -> tuple[Part, str]:
    """A device of a type of its own, and that type."""
    device, kind = f"dev-{len(stack.parts)}", f"T{len(stack.parts)}"
    part = stack.worker(device, device_type=kind, **{VARIABLE: failpoints})
    stack.online(device)
    return part, kind


def rearm(part: Part, failpoints: str) -> None:
    part.stop()
    part.env = {**part.env, VARIABLE: failpoints}
    part.start()


def is_stopped(part: Part) -> bool:
    return bool(psutil.Process(part.pid).status() == psutil.STATUS_STOPPED)


def is_dead(part: Part) -> bool:
    return part.process is not None and part.process.poll() is not None


def submit(stack: Stack, kind: str, log: Path) -> None:
    """Two batches, one of them with results that travel by reference."""
    large = {"payload": {"do": "big", "bytes": 300_000, "log": str(log)}}
    with stack.client() as client:
        client.create_batch(kind, deeds(JOBS, log))
        client.create_batch(kind, [*deeds(2, log), *[large] * 4])


def all_end(stack: Stack, log: Path) -> None:
    until(lambda: stack.sql("SELECT 1 FROM batch WHERE status <> 'DONE' LIMIT 1") == [], 60)
    check_history(stack, log)


@pytest.mark.parametrize("point", WORKER)
def test_a_worker_dies_at(point: str, stack: Stack, log: Path) -> None:
    part, kind = worker(stack, f"{point}=kill@3")
    submit(stack, kind, log)
    until(lambda: is_dead(part), 30)
    rearm(part, "")
    all_end(stack, log)
    part.stop()


@pytest.mark.parametrize("point", WORKER)
def test_a_worker_s_own_code_breaks_at(point: str, stack: Stack, log: Path) -> None:
    part, kind = worker(stack, f"{point}=raise:0.1")
    submit(stack, kind, log)
    all_end(stack, log)
    part.stop()


@pytest.mark.parametrize("point", ["worker.permitted", "worker.finished"])
def test_a_worker_is_frozen_for_longer_than_its_lease_at(
    point: str, stack: Stack, log: Path
) -> None:
    part, kind = worker(stack, f"{point}=stop@3")
    submit(stack, kind, log)
    until(lambda: is_stopped(part), 30)
    device = part.words[2]
    until(lambda: stack.sql("SELECT online FROM device WHERE name = %s", device) == [(False,)], 30)
    os.kill(part.pid, signal.SIGCONT)
    all_end(stack, log)
    part.stop()


@pytest.mark.parametrize("point", list(CONTROL))
def test_control_dies_at(point: str, stack: Stack, log: Path) -> None:
    part, kind = worker(stack)
    control = stack.parts["control"]
    rearm(control, f"{point}=kill@{CONTROL[point]}")
    submit(stack, kind, log)
    until(lambda: is_dead(control), 30)
    rearm(control, "")
    all_end(stack, log)
    part.stop()


@pytest.mark.parametrize("point", list(CONTROL))
def test_control_loses_every_fourth_answer_at(point: str, stack: Stack, log: Path) -> None:
    part, kind = worker(stack)
    rearm(stack.parts["control"], f"{point}=raise:0.25")
    submit(stack, kind, log)
    all_end(stack, log)
    rearm(stack.parts["control"], "")
    part.stop()


def test_a_commit_whose_answer_is_lost_makes_one_batch_of_one_call(stack: Stack, log: Path) -> None:
    part, kind = worker(stack)
    api = stack.parts["api"]
    rearm(api, "tx.committed=raise:0.3")
    until(stack.api_answers, 30)
    before = stack.sql("SELECT count(*) FROM batch")[0][0]
    with stack.client() as client:
        made = {client.create_batch(kind, deeds(2, log)).id for _ in range(5)}
    assert stack.sql("SELECT count(*) FROM batch") == [(before + len(made),)]
    rearm(api, "")
    until(stack.api_answers, 30)
    all_end(stack, log)
    part.stop()


def test_a_name_that_is_none_is_refused_at_the_start(stack: Stack) -> None:
    part = stack.part("mistaken", "control", **{VARIABLE: "worker.bega=kill"})
    assert part.process is not None
    assert part.process.wait(20) == 2
    assert "worker.began" in part.log.read_text()
