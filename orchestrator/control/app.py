"""The control process: takes what workers and beat send, and calls one service for each."""

import logging
import os
import socket
import sys
from typing import Any

from orchestrator import counts
from orchestrator.broker.celery_app import celery_app
from orchestrator.config import Settings
from orchestrator.control.tasks import register
from orchestrator.services.core import Core
from orchestrator.services.deliver import Courier
from orchestrator.telling import telling
from schemas.task import CONTROL_QUEUE

CONCURRENCY = 4
HEARTBEAT_S = 10
BAD_USAGE = 2


def control(settings: Settings) -> int:
    """Serves until SIGTERM. Several may run: the database decides who does what."""
    with telling("control", settings):
        return _control(settings)


def _control(settings: Settings) -> int:
    try:
        if settings.metrics:
            counts.serve(*settings.metrics, settings.metrics_folder)
    except counts.NotServed as error:
        print(f"holdfast control: {error}", file=sys.stderr)
        return BAD_USAGE
    core = Core.start(settings)
    app = celery_app(settings.broker_url)
    register(app, core, Courier(core))
    options: dict[str, Any] = {
        "pool": "threads",
        "concurrency": CONCURRENCY,
        "queues": [CONTROL_QUEUE],
        "hostname": f"control-{os.getpid()}@{socket.gethostname()}",
        "quiet": True,
        "without_gossip": True,
        "without_mingle": True,
        "heartbeat_interval": HEARTBEAT_S,
    }
    for chatty in ("celery.worker.strategy", "celery.app.trace"):
        # Two lines for every settle and every sweep say nothing that the database does not.
        logging.getLogger(chatty).setLevel(logging.WARNING)
    worker = app.Worker(**options)
    worker.start()
    return int(worker.exitcode or 0)
