"""The parts of Holdfast as an operator runs them: real processes, real servers, real HTTP."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from holdfast import Client

from orchestrator import bootstrap, embedded
from orchestrator.embedded import free_port
from orchestrator.embedded.process import spawn
from tests.waiting import until
from workers.executors.scripted import history

HOLDFAST = Path(sys.executable).with_name("holdfast")
LEASE_S = 6.0


@dataclass
class Part:
    """One process of the stack; it can be killed and started again."""

    name: str
    words: Sequence[str]
    env: Mapping[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    program: Sequence[str | Path] = (HOLDFAST,)

    def start(self) -> None:
        self.process = spawn(
            [*self.program, *self.words],
            log=self.log,
            death_signal=signal.SIGKILL,
            env=dict(self.env),
        )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """As by the kernel: nothing is said, nothing is cleaned up."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def restart(self) -> None:
        self.kill()
        self.start()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
            return
        self.kill()


@dataclass
class Stack:
    servers: embedded.Servers
    folder: Path
    env: dict[str, str]
    port: int
    project_id: str
    api_key: str
    parts: dict[str, Part] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def part(self, name: str, *words: str, **env: str) -> Part:
        part = Part(name, words, {**self.env, **env}, self.folder / f"{name}.log")
        self.parts[name] = part
        part.start()
        return part

    def worker(
        self,
        device: str,
        *,
        device_type: str = "TEST",
        executor: str = "scripted",
        journal: str = "",
        **env: str,
    ) -> Part:
        journal = journal or f"journal-{device}"
        name = f"worker-{len(self.parts)}"
        words = ("worker", "--device", device, "--type", device_type, "--executor", executor)
        env["HOLDFAST_JOURNAL_DIR"] = str(self.folder / journal)
        return self.part(name, *words, **env)

    def client(self) -> Client:
        return Client(self.url, self.api_key, timeout=10)

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """A look past our own code, at what the database holds."""
        url = self.servers.database.replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def online(self, *devices: str, timeout_s: float = 20) -> None:
        def all_online() -> bool:
            rows = self.sql("SELECT name FROM device WHERE online")
            return set(devices) <= {row[0] for row in rows}

        until(all_online, timeout_s)

    def api_answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        for part in reversed(self.parts.values()):
            part.stop()


@contextmanager
def running_stack(folder: Path, **settings: str) -> Generator[Stack]:
    """Servers, API, control and beat; workers are the test's to start."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_")}
    with embedded.servers(folder / "data", ephemeral=False, env=inherited) as servers:
        seeded = bootstrap.prepare(servers.database, [])
        env = {
            **inherited,
            "HOLDFAST_DATABASE_URL": servers.database,
            "HOLDFAST_BROKER_URL": servers.broker,
            "HOLDFAST_STORE_URL": (folder / "objects").as_uri(),
            "HOLDFAST_LEASE_S": f"{LEASE_S:g}",
            **settings,
        }
        stack = Stack(servers, folder, env, free_port(), seeded.project_id, seeded.api_key)
        try:
            stack.part("api", "api", "--port", str(stack.port))
            stack.part("control", "control")
            stack.part("beat", "beat")
            until(stack.api_answers, 30)
            yield stack
        finally:
            stack.close()


def deeds(n: int, log: Path, *, seconds: float = 0.02, do: str = "sleep") -> list[dict[str, Any]]:
    """Jobs that leave a line in the device's own record when they begin and end."""
    return [{"payload": {"do": do, "s": seconds, "log": str(log)}} for _ in range(n)]


def began(log: Path) -> list[tuple[str, int]]:
    """Job and run, in the order in which the device began them."""
    lines = history(log) if log.exists() else []
    return [(str(line["job"]), int(line["run"])) for line in lines if line["what"] == "began"]


def check_history(stack: Stack, log: Path) -> None:
    """Every accepted job ended exactly once, in order, with one result; no run began twice."""
    runs = began(log)
    assert len(runs) == len(set(runs)), "a run began twice"
    rows = stack.sql(
        "SELECT job.id::text, job.status, job.run, result.run, job.batch_id::text FROM job"
        " LEFT JOIN result ON result.job_id = job.id JOIN batch ON batch.id = job.batch_id"
        " ORDER BY batch.admitted_at, ordinal"
    )
    assert {row[1] for row in rows} == {"DONE"}
    assert [row[3] for row in rows] == [row[2] for row in rows], "a result is of another run"
    ends = stack.sql("SELECT job_id::text FROM event WHERE kind = 'done'")
    assert sorted(ends) == sorted((row[0],) for row in rows), "a job ended twice"
    kept = {(row[0], row[2]) for row in rows}
    order = [job for job, run in runs if (job, run) in kept]
    assert order == [row[0] for row in rows], "jobs began out of order"
