"""`compute_target="local"`: this machine computes, and nobody had to set it up."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from holdfast import Client, local

from tests.controller.machine import HOLDFAST
from tests.e2e.stack import Stack
from tests.waiting import until

WATER = {
    "job_type": "single_point_energy",
    "atoms": {
        "symbols": ["O", "H", "H"],
        "positions": [[0, 0, 0.1173], [0, 0.7572, -0.4692], [0, -0.7572, -0.4692]],
    },
    "level_of_theory": "GFN2-xTB",
}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What was started from it is gone after the test."""
    monkeypatch.setenv("HOLDFAST_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("HOLDFAST_RUNNER_KEY", raising=False)
    try:
        yield tmp_path
    finally:
        for controller in started_from(tmp_path):
            os.killpg(controller.pid, signal.SIGTERM)
            controller.wait(20)
            for each in local._started:
                each.poll()


def started_from(state: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[1:4] == [str(HOLDFAST), "controller", "run"]:
            environment = process.environ()
            if environment.get("HOLDFAST_STATE_DIR", "").startswith(str(state)):
                found.append(process)
    return found


def keys_made(stack: Stack) -> int:
    ((made,),) = stack.sql("SELECT count(*) FROM api_key WHERE kind = 'runner'")
    return int(made)


def test_programs_that_find_no_controller_start_one_together(stack: Stack, state: Path) -> None:
    """Its key is readable by its user only, and it is found again without another key."""
    names: list[str] = []
    before = keys_made(stack)

    def program() -> None:
        with Client(stack.url, stack.api_key) as client:
            names.append(local.ensure(client._transport))

    programs = [threading.Thread(target=program) for _ in range(3)]
    for each in programs:
        each.start()
    for each in programs:
        each.join(90)
    assert names == [local.name_here()] * 3
    assert len(started_from(state)) == 1
    with Client(stack.url, stack.api_key) as client:
        report = client.compute.submit_batch([WATER], compute_target="local")
        (entry,) = report["jobs"]
        assert entry["status"] == "submitted", entry
        client.compute.wait(report, timeout=60)
        energy = client.compute.result(entry["job_id"])["energy"]
        assert energy == pytest.approx(-5.070370764541, abs=1e-9)
    (key,) = state.glob("local/*/runner.key")
    assert key.stat().st_mode & 0o077 == 0
    assert keys_made(stack) == before + 1


def test_one_that_was_revoked_gets_a_new_key(stack: Stack, state: Path) -> None:
    with Client(stack.url, stack.api_key) as client:
        local.ensure(client._transport)
        (before,) = started_from(state)
        os.kill(before.pid, signal.SIGTERM)
        until(lambda: local._started[-1].poll() is not None, 20)
        stack.sql("UPDATE api_key SET revoked_at = now() WHERE kind = 'runner' RETURNING 1")
        assert local.ensure(client._transport) == local.name_here()
    assert len(started_from(state)) == 1
