"""The witness says when the device was free of a job, not when its worker came to write it down."""

import signal
import sqlite3
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from schemas.task import Done, Lost
from schemas.witness import Began, Entry, Finished, read_line
from tests.integration.test_leash import LEASE, deeds, executor_of, long_job, only
from tests.integration.worker_stack import Stack, broker, fresh_stack, lives, window
from tests.waiting import until
from workers.executors.scripted import history


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with broker(tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture
def stack(url: str, tmp_path: Path) -> Iterator[Stack]:
    yield from fresh_stack(url, tmp_path)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def witnessed(journal: Path) -> tuple[Began, Finished]:
    """Of the one run that this journal knows."""
    with closing(sqlite3.connect(journal / "journal.db")) as db:
        rows = db.execute("SELECT line FROM witness ORDER BY seq").fetchall()
    began, finished = [entry for (line,) in rows if (entry := parsed(line))[1] == "d1"][-2:]
    assert isinstance(began, Began)
    assert isinstance(finished, Finished)
    return began, finished


def parsed(line: bytes) -> Entry:
    raise NotImplementedError


def a_while_later() -> float:
    """Long enough for other processes to have done what they were about to do."""
    over = time.monotonic() + 2.0
    until(lambda: time.monotonic() > over)
    return time.monotonic()
