"""What becomes of the embedded servers when the process that started them ends."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from orchestrator.embedded.process import command_of, poll_until

CHILD = Path(__file__).with_name("embedded_child.py")
NOBODY = 65534
ROOT = str(Path(__file__).parents[2])
ANY_PYTHON = os.environ | {"PYTHONPATH": f"{ROOT}:{sysconfig.get_path('purelib')}"}
GONE_S = 15
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")


@dataclass(frozen=True)
class Owner:
    process: "subprocess.Popen[bytes]"
    database: str
    broker: str
    data_dir: Path
    pids: list[int]
    uid: int

    def is_all_gone(self) -> bool:
        return not any(command_of(pid) for pid in self.pids)

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(timeout=GONE_S)


@contextmanager
def owner(
    data_dir: Path,
    kind: str = "keep",
    uid: int | None = None,
    python: str | Path = sys.executable,
) -> Generator[Owner]:
    process = subprocess.Popen(
        [python, CHILD, data_dir, kind],
        stdout=subprocess.PIPE,
        env=ANY_PYTHON,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
    )
    try:
        assert process.stdout
        facts = json.loads(process.stdout.readline())
        yield Owner(process=process, **facts | {"data_dir": Path(facts["data_dir"])})
    finally:
        process.kill()
        process.communicate(timeout=GONE_S)


def write_row(found: Owner) -> int:
    with psycopg.connect(found.database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("create table if not exists kept (i int)")
        connection.execute("insert into kept values (1)")
        row = connection.execute("select count(*) from kept").fetchone()
    assert row
    return int(row[0])


@LINUX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_server_outlives_its_owner(tmp_path: Path, number: signal.Signals) -> None:
    with owner(tmp_path) as found:
        found.end(number)
        assert poll_until(found.is_all_gone, GONE_S)


@LINUX
def test_after_a_kill_of_the_owner_the_next_start_has_the_data(tmp_path: Path) -> None:
    for expected in (1, 2):
        with owner(tmp_path) as found:
            assert write_row(found) == expected
            found.end(signal.SIGKILL)


@LINUX
def test_after_a_kill_of_everything_the_next_start_has_the_data(tmp_path: Path) -> None:
    for expected in (1, 2):
        with owner(tmp_path) as found:
            assert write_row(found) == expected
            for pid in found.pids:
                os.kill(pid, signal.SIGKILL)
            found.end(signal.SIGKILL)


@LINUX
def test_the_folder_of_a_killed_ephemeral_owner_is_removed_by_the_next(tmp_path: Path) -> None:
    with owner(tmp_path, "ephemeral") as killed:
        killed.end(signal.SIGKILL)
    assert killed.data_dir.exists()
    with owner(tmp_path, "ephemeral") as found:
        assert not killed.data_dir.exists()
        found.end(signal.SIGINT)
        assert not found.data_dir.exists()
    assert not list(tmp_path.iterdir())


@pytest.fixture
def nobodys_folder() -> Generator[Path]:
    """Outside pytest's own folders, which only the user of the test run may enter."""
    with tempfile.TemporaryDirectory() as place:
        os.chown(place, NOBODY, NOBODY)
        yield Path(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests have run as an ordinary user")
def test_an_ordinary_user_needs_nothing_more(nobodys_folder: Path) -> None:
    python = python_for_nobody()
    if python is None:
        pytest.skip("no Python 3.11 here that an ordinary user may run")
    with owner(nobodys_folder / "data", uid=NOBODY, python=python) as found:
        assert found.uid == NOBODY
        assert write_row(found) == 1
        found.end(signal.SIGINT)
        assert poll_until(found.is_all_gone, GONE_S)


def python_for_nobody() -> Path | None:
    """The environment's own Python may lie in root's home; any other can run the servers too."""
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        with suppress(OSError):
            tried = subprocess.run(
                [python, "-c", "import orchestrator.embedded"],
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
                env=ANY_PYTHON,
                capture_output=True,
                timeout=30,
            )
            if tried.returncode == 0:
                return Path(python)
    return None
