"""What Prometheus reads: what this process has counted, and the figures of the moment."""

import threading
import time
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from orchestrator import counts
from orchestrator.api.auth import Caller, core_of, requires
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import refuse_unknown
from orchestrator.services.core import Core
from orchestrator.store.figures import figures
from orchestrator.store.listings_reading import reading
from schemas.words import Scope

FRESH_S: Final = 1.0
router = APIRouter(tags=["service"], dependencies=[Depends(refuse_unknown)])


class Figures:
    """Read once a second at most, however many ask."""

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self._read: counts.Readings = {}
        self._until = 0.0

    def now(self, core: Core) -> counts.Readings:
        with self._alone:
            if time.monotonic() >= self._until:
                with reading(core.engine) as connection:
                    self._read = figures(connection)
                self._until = time.monotonic() + FRESH_S
            return self._read


@router.get("/metrics", responses=shows(None, stream="text/plain"))
def read_metrics(
    request: Request, caller: Annotated[Caller, Depends(requires(Scope.OPERATE))]
) -> Response:
    """For Prometheus, in its text format: this process's counters, and the queue and devices as
    they are. Whoever operates sees the queues of all projects, and the name of none."""
    core = core_of(request)
    known: Figures = request.app.state.figures
    text = counts.exposed(core.settings.metrics_folder, known.now(core))
    return Response(text, media_type=counts.MEDIA_TYPE)
