"""The application: routes, and what is around all of them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from orchestrator.api import problems
from orchestrator.api.controllers import assignments, controllers, targets
from orchestrator.api.envelope import Envelope
from orchestrator.api.health import Probes
from orchestrator.api.last_used import keep_written
from orchestrator.api.openapi import describe
from orchestrator.api.pasqal import app as pasqal
from orchestrator.api.portal import app as portal
from orchestrator.api.portal import live
from orchestrator.api.routes import (
    batches,
    certificates,
    credits,
    devices,
    estimates,
    events,
    jobs,
    keys,
    members,
    metrics,
    service,
    usage,
    webhooks,
)
from orchestrator.api.streaming import READERS, Streams
from orchestrator.api.submit import batches as submitted
from orchestrator.api.submit import jobs as own_jobs
from orchestrator.broker.wakeups import Wakeups
from orchestrator.services.core import Core

PARTS: Final = (
    *(credits, estimates, usage),
    *(batches, certificates, jobs, devices, events, keys, members, metrics, webhooks, service),
    *(controllers, assignments, targets),
    *(submitted, own_jobs),
)
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
        docs_url=None,
        redoc_url=None,
    )
    app.state.core = core
    app.state.probes = Probes(core)
    app.state.figures = metrics.Figures()
    faults = dict.fromkeys(pasqal.DOORS, pasqal.FAULTS) | dict.fromkeys(portal.DOORS, portal.FAULTS)
    app.add_middleware(Envelope, doors=faults)
    problems.install(app)
    portal.install(app)
    routers = [*(part.router for part in PARTS), own_jobs.operators, *portal.ROUTERS]
    app.state.routes = [route for router in routers for route in router.routes]
    for router in routers:
        app.include_router(router)
    describe(app)
    pasqal.mount(app, core)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    core: Core = app.state.core
    # More threads than connections would only wait in another place.
    connections = 2 * core.settings.pool_size
    current_default_thread_limiter().total_tokens = max(2, connections - READERS - live.READERS)
    wakeups = Wakeups(core.settings.broker_url)
    app.state.streams = Streams(core, wakeups)
    closing: asyncio.Event = app.state.streams.closing
    reading = asyncio.create_task(wakeups.run())
    app.state.live = live.Live(core, wakeups, closing)
    checking = asyncio.create_task(app.state.live.run())
    writing = asyncio.create_task(keep_written(core, closing))
    try:
        yield
    finally:
        closing.set()
        for task in (reading, checking):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await writing
