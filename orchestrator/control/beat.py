"""Beat and Flower: they speak to the broker only, so neither loads what a database needs."""

import logging

from orchestrator.broker.celery_app import celery_app
from orchestrator.config import Settings


def beat(settings: Settings, *, log_level: str = "INFO") -> int:
    """Sends the sweep every second. Any number of beats is harmless."""
    logging.getLogger("celery.beat").setLevel(logging.WARNING)
    celery_app(settings.broker_url).Beat(loglevel=log_level, max_interval=1).run()
    return 0


def flower(settings: Settings, host: str, port: int) -> int:
    """Serves Flower; its own options come from FLOWER_* variables."""
    app = celery_app(settings.broker_url)
    app.start(["flower", f"--address={host}", f"--port={port}"])
    return 0
