"""`holdfast dev` with real processes, most of which only sleep."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.embedded.process import command_of, poll_until

CHILD = Path(__file__).with_name("dev_child.py")
PARTS = ("api", "control", "beat", "worker-emu-a", "worker-qpu-1", "flower")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")


@dataclass(frozen=True)
class Dev:
    process: "subprocess.Popen[str]"
    folder: Path

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def ready_file(self) -> Path:
        return self.folder / "ready.json"

    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ready_file.read_text())
        return found

    def pid_of(self, part: str) -> int:
        return int(json.loads((self.data_dir / "run" / f"{part}.pid").read_text())["pid"])

    def pids(self) -> dict[str, int]:
        return {path.stem: self.pid_of(path.stem) for path in self.data_dir.glob("run/*.pid")}

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


@contextmanager
def dev(folder: Path, *words: str) -> Generator[Dev]:
    process = subprocess.Popen(
        [sys.executable, CHILD, folder / "data", folder / "ready.json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Dev(process, folder)
    finally:
        process.kill()
        process.communicate(timeout=30)


@contextmanager
def ready_dev(folder: Path, *words: str) -> Generator[Dev]:
    with dev(folder, *words) as running:
        assert poll_until(running.ready_file.exists, 30), running.process.poll()
        yield running


def is_gone(pids: dict[str, int]) -> bool:
    return not any(command_of(pid) for pid in pids.values())


def test_the_ready_file_says_all_and_only_to_its_owner(tmp_path: Path) -> None:
    with ready_dev(tmp_path) as running:
        facts = running.facts()
        assert facts["pid"] == running.process.pid
        assert facts["base_url"].startswith("http://127.0.0.1:")
        assert facts["flower_url"].startswith("http://127.0.0.1:")
        assert {facts[k] for k in ("project_id", "username", "password", "api_key")} == {
            *("p", "dev", "secret", "key")
        }
        assert (facts["database_url"], facts["broker_url"]) == ("postgresql://d", "redis://b")
        assert stat.S_IMODE(running.ready_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_every_part(tmp_path: Path, number: signal.Signals) -> None:
    with ready_dev(tmp_path) as running:
        pids = running.pids()
        assert set(pids) == set(PARTS)
        assert running.end(number) == 0
        assert is_gone(pids)
        assert not running.ready_file.exists()


@LINUX
def test_a_kill_leaves_no_process(tmp_path: Path) -> None:
    with ready_dev(tmp_path, "embedded") as running:
        pids = running.pids()
        assert {"postgres", "valkey"} < set(pids)
        running.end(signal.SIGKILL)
        assert poll_until(lambda: is_gone(pids), 15)


def test_it_starts_again_after_a_kill(tmp_path: Path) -> None:
    for _ in range(2):
        with ready_dev(tmp_path) as running:
            running.end(signal.SIGKILL)
            running.ready_file.unlink()


def test_a_part_that_dies_is_started_again(tmp_path: Path) -> None:
    with ready_dev(tmp_path) as running:
        before = running.pid_of("beat")
        os.kill(before, signal.SIGKILL)
        assert poll_until(lambda: running.pid_of("beat") != before, 10)
        running.end()
        assert "beat ended (SIGKILL)" in running.process.communicate()[1]


def test_a_part_that_does_not_listen_is_killed_in_time(tmp_path: Path) -> None:
    with ready_dev(tmp_path, "deaf") as running:
        pids = running.pids()
        time.sleep(0.5)
        began = time.monotonic()
        assert running.end() == 0
        assert 4 < time.monotonic() - began < 15
        assert is_gone(pids)


def test_a_second_signal_kills_at_once(tmp_path: Path) -> None:
    with ready_dev(tmp_path, "deaf") as running:
        pids = running.pids()
        time.sleep(0.5)
        began = time.monotonic()
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert running.end(signal.SIGINT) == 0
        assert time.monotonic() - began < 4
        assert is_gone(pids)


def test_workers_get_the_broker_and_a_journal_but_no_database(tmp_path: Path) -> None:
    with ready_dev(tmp_path) as running:
        seen = running.data_dir / "journal" / "qpu-1" / "seen.json"
        assert poll_until(seen.exists, 10)
        assert poll_until(lambda: seen.read_text() != "", 10)
        names = json.loads(seen.read_text())
    assert "HOLDFAST_DATABASE_URL" not in names
    assert {"HOLDFAST_BROKER_URL", "HOLDFAST_STORE_URL", "HOLDFAST_JOURNAL_DIR"} <= {*names}
    assert "HOLDFAST_IDLE_TIMEOUT_S" in names


def test_a_stack_that_is_never_ready_says_why(tmp_path: Path) -> None:
    with dev(tmp_path, "slow") as running:
        _, errors = running.process.communicate(timeout=30)
        assert running.process.returncode == 1
        assert "not ready after 2 s" in errors
        assert "503 emu-a is offline" in errors
        assert is_gone(running.pids())


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with dev(tmp_path, f"port={port}") as running:
            _, errors = running.process.communicate(timeout=30)
            assert running.process.returncode == 1
            assert f"port {port} is in use" in errors


def test_a_second_stack_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with ready_dev(tmp_path) as first, dev(tmp_path) as second:
        _, errors = second.process.communicate(timeout=30)
        assert second.process.returncode == 1
        assert f"in use by another holdfast (process {first.process.pid})" in errors
        assert first.ready_file.exists()


def test_logs_are_marked_with_the_name_of_their_part(tmp_path: Path) -> None:
    with ready_dev(tmp_path) as running:
        time.sleep(0.5)
        running.end()
        assert "api            api says hello" in running.process.communicate()[1]
        assert (running.data_dir / "logs" / "api.log").read_text().startswith("api says hello\n")


@LINUX
def test_an_ephemeral_stack_leaves_nothing(tmp_path: Path) -> None:
    with ready_dev(tmp_path, "embedded", "ephemeral") as running:
        database = running.facts()["database_url"]
        assert database.startswith("postgresql+psycopg://")
        assert running.end() == 0
        assert not running.data_dir.exists()
