"""Holdfast as an operator runs it (API, control, beat and one device worker, each a process), and
the servers that every contender shares."""

import json
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.bench.contender import Contender, Unmeasured, serving
from tests.bench.peers.celery_peer import CeleryPeer
from tests.bench.peers.huey_peer import HueyPeer
from tests.bench.peers.procrastinate_peer import ProcrastinatePeer
from tests.e2e.stack import Stack, running_stack

DEVICE, TYPE = "bench", "BENCH"
NOOP: Mapping[str, Any] = {"payload": {"do": "noop"}}
POLL_S = 0.003


@dataclass(frozen=True, slots=True)
class Span:
    """One job by the clock of its worker, in seconds."""

    began: float
    ended: float


class Ground:
    """`database` looks past our own code, at what is stored."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.database_url = stack.servers.database.replace("+psycopg", "")
        self.database = psycopg.connect(self.database_url, autocommit=True)
        headers = {"Authorization": f"Bearer {stack.api_key}"}
        self.http = httpx.Client(base_url=stack.url, headers=headers, timeout=60)

    def close(self) -> None:
        self.http.close()
        self.database.close()

    def post(self, path: str, body: Mapping[str, Any] | bytes) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.http.post(path, content=content)
        if not answer.is_success:
            raise Unmeasured(f"POST {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    def submit(self, jobs: Sequence[Mapping[str, Any]], **fields: Any) -> str:
        return str(self.post("/v1/batches", {"device_type": TYPE, "jobs": jobs, **fields})["id"])

    def until_over(self, batch: str, *, within_s: float = 60) -> None:
        """And the device is free again."""

        def over() -> bool:
            row = self.database.execute(
                "SELECT batch.ended_at IS NOT NULL AND NOT EXISTS"
                " (SELECT 1 FROM device WHERE seat = batch.id) FROM batch WHERE id = %s",
                (batch,),
            ).fetchone()
            return row is not None and bool(row[0])

        await_true(over, f"batch {batch} to end", within_s)

    def spans(self, batch: str) -> list[Span]:
        """Its jobs in order. All of them are done, or nothing was measured."""
        rows = self.database.execute(
            "SELECT status, EXTRACT(epoch FROM started_at)::float8,"
            " EXTRACT(epoch FROM ended_at)::float8"
            " FROM job WHERE batch_id = %s ORDER BY ordinal",
            (batch,),
        ).fetchall()
        if bad := {status for status, _, _ in rows} - {"DONE"}:
            raise Unmeasured(f"batch {batch} has jobs that are {bad}")
        return [Span(began, ended) for _, began, ended in rows]

    @contextmanager
    def celery(self) -> Generator[Contender]:
        """On a database of its own in the same Redis."""
        url = f"{self.stack.servers.broker.removesuffix('/0')}/1"
        with serving(CeleryPeer(url), url, self.folder) as contender:
            yield contender

    @contextmanager
    def huey(self) -> Generator[Contender]:
        url = f"{self.stack.servers.broker.removesuffix('/0')}/2"
        with serving(HueyPeer(url), url, self.folder) as contender:
            yield contender

    @contextmanager
    def procrastinate(self) -> Generator[Contender]:
        """In a database of its own on the same Postgres."""
        url = f"{self.database_url.rpartition('/')[0]}/procrastinate"
        self.database.execute("CREATE DATABASE procrastinate")
        peer = ProcrastinatePeer(url)
        peer.make_tables()
        with serving(peer, url, self.folder) as contender:
            yield contender


def await_true(condition: Any, what: str, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise Unmeasured(f"waited {within_s:g} s for {what}")
        time.sleep(POLL_S)


@contextmanager
def prepared() -> Generator[Ground]:
    """Servers with their data on disk and synced, as in production; gone with the block."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name:
        folder = Path(name)
        often = "100000"
        with running_stack(
            folder, HOLDFAST_LEASE_S="15", HOLDFAST_BATCHES_PER_MINUTE=often
        ) as stack:
            stack.worker(DEVICE, device_type=TYPE)
            stack.online(DEVICE)
            ground = Ground(stack, folder)
            try:
                yield ground
            finally:
                ground.close()
