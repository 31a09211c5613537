"""The door as it is mounted: one small application for each address that the client knows."""

from typing import Final

from fastapi import APIRouter, FastAPI

from orchestrator.api.envelope import Faults
from orchestrator.api.pasqal import account, batches, devices, envelope, jobs, qrmi, workloads
from orchestrator.services.core import Core

CORE: Final = (batches.router, jobs.router, devices.router, workloads.router, qrmi.router)
DOORS: Final = ("/core-fast", "/account", "/oauth")
FAULTS: Final = Faults(envelope.broken, envelope.too_slow)


def mount(app: FastAPI, core: Core) -> None:
    app.mount("/core-fast", _application(core, "Holdfast: the PASQAL Cloud door", *CORE))
    app.mount("/account", _application(core, "Holdfast: account", account.projects))
    tokens = _application(core, "Holdfast: tokens", account.tokens)
    account.install(tokens)
    app.mount("/oauth", tokens)


def _application(core: Core, title: str, *routers: APIRouter) -> FastAPI:
    app = FastAPI(title=title, version="1", redirect_slashes=False, redoc_url=None)
    app.state.core = core
    envelope.install(app)
    for router in routers:
        app.include_router(router)
    return app
