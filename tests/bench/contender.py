"""A peer with its one worker, up only while it is measured."""

import json
import signal
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from orchestrator.embedded.process import ended_within, kill_group, spawn

READY_S = 40.0
RUN_S = 120.0


class Unmeasured(Exception):
    """Said to whoever reads the table."""


class Peer(Protocol):
    title: str

    def send(self, jobs: int, report: str) -> None:
        """No-ops, strictly one after the other."""

    def send_stamp(self, report: str) -> None: ...
    def tidy(self) -> None:
        """Before each round, outside its time: what a server that has run for long has done."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Run:
    """Seconds. `whole`: from before the first call until the last job began."""

    whole: float
    first_to_last: float
    jobs: int

    @property
    def link(self) -> float:
        """From the begin of one job to the begin of the next, on average."""
        return self.first_to_last / (self.jobs - 1)

    @property
    def rate(self) -> float:
        return self.jobs / self.whole


@dataclass(frozen=True)
class Contender:
    peer: Peer
    folder: Path

    def run(self, jobs: int) -> Run:
        report = self._report()
        since = time.monotonic()
        self.peer.send(jobs, str(report))
        seen = self._read(report, since, RUN_S)
        return Run(seen["last"] - since, seen["last"] - seen["first"], jobs)

    def dispatch(self, within_s: float = 10.0) -> float:
        """Seconds from the call to the begin of the job, with nothing else to do."""
        report = self._report()
        since = time.monotonic()
        self.peer.send_stamp(str(report))
        return self._read(report, since, within_s)["first"] - since

    def _report(self) -> Path:
        return self.folder / f"{self.peer.title}-{uuid4().hex}.json"

    def _read(self, report: Path, since: float, within_s: float) -> dict[str, float]:
        deadline = time.monotonic() + within_s
        while not report.exists():
            if time.monotonic() > deadline:
                raise Unmeasured(f"{self.peer.title} did not end within {within_s:g} s")
            # Not finer: on two cores the watcher would take from what it watches.
            time.sleep(0.002)
        content: dict[str, float] = json.loads(report.read_text())
        report.unlink()
        if content["first"] < since:
            raise Unmeasured(f"{self.peer.title} reported a job that began before it was sent")
        return content


@contextmanager
def serving(peer: Peer, url: str, folder: Path) -> Generator[Contender]:
    """With a worker that has answered once."""
    module = type(peer).__module__
    log = folder / f"{peer.title}.log"
    worker = spawn(
        [sys.executable, "-m", module, url], log=log, death_signal=signal.SIGKILL, env=None
    )
    contender = Contender(peer, folder)
    try:
        _await_ready(contender, log)
        yield contender
    finally:
        worker.terminate()
        if not ended_within(worker, 10):
            kill_group(worker)
        peer.close()


def _await_ready(contender: Contender, log: Path) -> None:
    """Only here is the worker's log what explains a failure."""
    try:
        contender.dispatch(READY_S)
    except Unmeasured as error:
        tail = log.read_text(errors="replace")[-500:]
        raise Unmeasured(f"{error}; its log ends with: {tail}") from error
