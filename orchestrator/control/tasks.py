"""Tasks of the control queue: parse the message, call one service."""

from typing import Any

from celery import Celery

from orchestrator.services import hello as hellos
from orchestrator.services import settle as settling
from orchestrator.services.core import Core
from orchestrator.services.deliver import Courier
from orchestrator.services.sweep import sweep
from schemas.task import BEGAN, HELLO, SETTLE, SWEEP, Began, Hello, Settle


def register(app: Celery, core: Core, courier: Courier) -> None:
    # Flower shows the windows themselves; an event for every settle would double its cost.
    @app.task(name=SETTLE, send_events=False)
    def settle(message: dict[str, Any]) -> None:
        settling.settle(core, Settle.model_validate(message))

    @app.task(name=BEGAN)
    def began(message: dict[str, Any]) -> None:
        settling.began(core, Began.model_validate(message))

    @app.task(name=HELLO)
    def hello(message: dict[str, Any]) -> None:
        hellos.hello(core, Hello.model_validate(message))

    @app.task(name=SWEEP, send_events=False)
    def look_around() -> None:
        sweep(core)
        courier.look()
