"""Tasks of the control queue: parse the message, call one service."""

import math
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from celery import Celery

from orchestrator import counts
from orchestrator.broker.celery_app import SWEEP_EVERY_S
from orchestrator.errors import Unavailable
from orchestrator.services import hello as hellos
from orchestrator.services import settle as settling
from orchestrator.services.core import Core
from orchestrator.services.deliver import Courier
from orchestrator.services.learn import learn
from orchestrator.services.remote.tend import tend
from orchestrator.services.share import share
from orchestrator.services.sweep import sweep
from schemas import logs, trace
from schemas.task import BEGAN, HELLO, SETTLE, SWEEP, Began, Hello, Settle

PAUSES_S: Final = (0.1, 0.5, 1.5)
"""Between the tries of a message while a server does not answer. What it says is asked for again
when it is lost, but only seconds later, and from a device that may be gone by then."""
Said = TypeVar("Said")


def heed(verb: Callable[[Core, Said], None], core: Core, message: Said) -> None:
    """Every verb is harmless when it comes twice."""
    with counts.tasks.labels(verb.__name__).time():
        for pause_s in PAUSES_S:
            try:
                return verb(core, message)
            except Unavailable:
                time.sleep(pause_s)
        verb(core, message)


class Rounds:
    """No sweep right after another: what beat has sent while nobody took it is a pile of the same
    word. Two at a time: one may wait for a lock, but settling needs threads, too."""

    def __init__(self, least_s: float, most: int = 2) -> None:
        self._least_s = least_s
        self._places = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._began = -math.inf

    @contextmanager
    def one(self) -> Generator[bool]:
        """Whether it is to be done."""
        if not self._places.acquire(blocking=False):
            yield False
            return
        try:
            yield self._is_due()
        finally:
            self._places.release()

    def _is_due(self) -> bool:
        with self._lock:
            now = time.monotonic()
            due = now - self._began >= self._least_s
            if due:
                self._began = now
            return due


def register(app: Celery, core: Core, courier: Courier) -> None:
    # Flower shows the windows themselves; an event for every settle would double its cost.
    @app.task(name=SETTLE, send_events=False, bind=True)
    def settle(task: Any, message: dict[str, Any]) -> None:
        said = Settle.model_validate(message)
        known = {"device": said.device, "window": said.window}
        parent = (task.request.headers or {}).get(trace.HEADER, trace.NEW)
        with logs.about(**known), trace.span("settle", parent, **known, jobs=len(said.outcomes)):
            heed(settling.settle, core, said)

    @app.task(name=BEGAN)
    def began(message: dict[str, Any]) -> None:
        said = Began.model_validate(message)
        with logs.about(device=said.device, window=said.window, job=said.job, run=said.run):
            heed(settling.began, core, said)

    @app.task(name=HELLO)
    def hello(message: dict[str, Any]) -> None:
        said = Hello.model_validate(message)
        with logs.about(device=said.device):
            heed(hellos.hello, core, said)

    rounds = Rounds(SWEEP_EVERY_S / 2)

    @app.task(name=SWEEP, send_events=False)
    def look_around() -> None:
        with rounds.one() as due:
            if not due:
                return
            with counts.tasks.labels("sweep").time():
                sweep(core)
                tend(core)
                share(core)
                learn(core)
                courier.look()
