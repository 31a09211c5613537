"""`holdfast dev`, as a user starts it; without other words, with two machines for chemistry."""

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from orchestrator.embedded.process import ended_within, kill_group, spawn
from tests.waiting import until

HOLDFAST = Path(sys.executable).with_name("holdfast")
WORDS = ("--device", "chem-a:managed:xtb", "--device", "chem-b:managed:xtb")


@dataclass(frozen=True)
class Dev:
    """The ready file."""

    base_url: str
    project_id: str
    username: str
    password: str
    api_key: str
    database_url: str

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        url = self.database_url.replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute(statement.encode(), values).fetchall()


@contextmanager
def running_dev(folder: Path, *, words: Sequence[str] = WORDS, **settings: str) -> Iterator[Dev]:
    ready, log = folder / "ready.json", folder / "dev.log"
    env = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    kept: list[str | Path] = ["--data-dir", folder / "data", "--ready-file", ready]
    stack = spawn(
        [HOLDFAST, "dev", "--port", "0", "--no-flower", *words, *kept],
        log=log,
        death_signal=signal.SIGTERM,
        env={**env, **settings},
    )
    try:
        until(lambda: ready.exists() or stack.poll() is not None, 90)
        assert ready.exists(), log.read_text(errors="replace")
        told = json.loads(ready.read_text())
        yield Dev(**{name: told[name] for name in Dev.__dataclass_fields__})
    finally:
        stack.terminate()
        if not ended_within(stack, 40):
            kill_group(stack)
