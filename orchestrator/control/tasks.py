"""Tasks of the control queue: parse the message, call one service."""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from celery import Celery

from orchestrator.errors import Unavailable
from orchestrator.services import hello as hellos
from orchestrator.services import settle as settling
from orchestrator.services.core import Core
from orchestrator.services.deliver import Courier
from orchestrator.services.remote.tend import tend
from orchestrator.services.share import share
from orchestrator.services.sweep import sweep
from schemas.task import BEGAN, HELLO, SETTLE, SWEEP, Began, Hello, Settle

PAUSES_S: Final = (0.1, 0.5, 1.5)
"""Between the tries of a message while a server does not answer. What it says is asked for again
when it is lost, but only seconds later, and from a device that may be gone by then."""
Said = TypeVar("Said")


def heed(verb: Callable[[Core, Said], None], core: Core, message: Said) -> None:
    """Every verb is harmless when it comes twice."""
    for pause_s in PAUSES_S:
        try:
            return verb(core, message)
        except Unavailable:
            time.sleep(pause_s)
    verb(core, message)


def register(app: Celery, core: Core, courier: Courier) -> None:
    # Flower shows the windows themselves; an event for every settle would double its cost.
    @app.task(name=SETTLE, send_events=False)
    def settle(message: dict[str, Any]) -> None:
        heed(settling.settle, core, Settle.model_validate(message))

    @app.task(name=BEGAN)
    def began(message: dict[str, Any]) -> None:
        heed(settling.began, core, Began.model_validate(message))

    @app.task(name=HELLO)
    def hello(message: dict[str, Any]) -> None:
        heed(hellos.hello, core, Hello.model_validate(message))

    @app.task(name=SWEEP, send_events=False)
    def look_around() -> None:
        sweep(core)
        tend(core)
        share(core)
        courier.look()
