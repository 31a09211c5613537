"""The application: routes, and what is around all of them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from orchestrator.api import problems
from orchestrator.api.envelope import Envelope
from orchestrator.api.health import Probes
from orchestrator.api.openapi import describe
from orchestrator.api.pasqal import app as pasqal
from orchestrator.api.routes import (
    batches,
    certificates,
    devices,
    events,
    jobs,
    keys,
    service,
    webhooks,
)
from orchestrator.api.streaming import READERS, Streams
from orchestrator.broker.wakeups import Wakeups
from orchestrator.services.core import Core

PARTS: Final = (batches, certificates, jobs, devices, events, keys, webhooks, service)
DESCRIPTION: Final = (
    "Queues batches of jobs on exclusive devices: a batch takes a device, holds it fast until its"
    " last job is done, and lets go."
)


def create_app(core: Core) -> FastAPI:
    app = FastAPI(
        title="Holdfast",
        version="1",
        description=DESCRIPTION,
        lifespan=_lifespan,
        redirect_slashes=False,
        redoc_url=None,
    )
    app.state.core = core
    app.state.probes = Probes(core)
    app.add_middleware(Envelope, doors=dict.fromkeys(pasqal.DOORS, pasqal.FAULTS))
    problems.install(app)
    app.state.routes = [route for part in PARTS for route in part.router.routes]
    for part in PARTS:
        app.include_router(part.router)
    describe(app)
    pasqal.mount(app, core)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    core: Core = app.state.core
    # More threads than connections would only wait in another place.
    connections = 2 * core.settings.pool_size
    current_default_thread_limiter().total_tokens = max(2, connections - READERS)
    wakeups = Wakeups(core.settings.broker_url)
    app.state.streams = Streams(core, wakeups)
    reading = asyncio.create_task(wakeups.run())
    try:
        yield
    finally:
        app.state.streams.closing.set()
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
