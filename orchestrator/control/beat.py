"""Beat and Flower: they speak to the broker only, so neither loads what a database needs."""

import logging
from dataclasses import replace

from orchestrator.broker.celery_app import celery_app
from orchestrator.config import Settings
from orchestrator.telling import telling


def beat(settings: Settings) -> int:
    """Sends the sweep every second. Any number of beats is harmless."""
    with telling("beat", replace(settings, traces=False)):
        logging.getLogger("celery.beat").setLevel(logging.WARNING)
        celery_app(settings.broker_url).Beat(max_interval=1, quiet=True).run()
    return 0


def flower(settings: Settings, host: str, port: int) -> int:
    """Serves Flower; its own options come from FLOWER_* variables."""
    app = celery_app(settings.broker_url)
    app.start(["flower", f"--address={host}", f"--port={port}"])
    return 0
