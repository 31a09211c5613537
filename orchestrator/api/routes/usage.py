"""What the project has used: by day, by key, by controller."""

import csv
import io
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import core_of
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import Reads, refuse_unknown
from orchestrator.store import usage
from orchestrator.store.listings_reading import reading
from schemas.credit import DayUsage
from schemas.submit import UsageOut

router = APIRouter(prefix="/api/v1", tags=["credits"], dependencies=[Depends(refuse_unknown)])
Window = Literal["24h", "7d", "30d", "all"]
_SPANS: Final[dict[Window, str]] = {
    "24h": "24 hours",
    "7d": "7 days",
    "30d": "30 days",
    "all": "1000 years",
}


@router.get("/usage", responses=shows(UsageOut))
def read_usage(
    request: Request, caller: Reads, window: Annotated[Window, Query()] = "30d"
) -> Response:
    """Jobs that were submitted in the window with how they ended, and the core hours billed in
    it; by key and by controller, and the last 14 days one by one."""
    span, project = _SPANS[window], caller.project
    with reading(core_of(request).engine) as connection:
        keys = usage.by_key(connection, project, span)
        failed, cancelled = sum(k.failed for k in keys), sum(k.cancelled for k in keys)
        found = UsageOut(
            window=window,
            jobs_submitted=sum(key.jobs_submitted for key in keys),
            core_hours_billed=sum(key.core_hours_billed for key in keys),
            controller_jobs=usage.controller_jobs(connection, project, span),
            failed=failed,
            cancelled=cancelled,
            failure_pressure=failed + cancelled,
            cache_hits=usage.cache_hits(connection, project, span),
            captured=sum(key.captured for key in keys),
            daily=usage.by_day(connection, project),
            keys=keys,
            controllers=usage.by_controller(connection, project, span),
        )
    return json_answer(found.model_dump_json())


@router.get("/usage.csv", response_class=Response, responses=shows(None, stream="text/csv"))
def read_usage_csv(request: Request, caller: Reads) -> Response:
    """The last 14 days, a line each."""
    with reading(core_of(request).engine) as connection:
        days = usage.by_day(connection, caller.project)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(DayUsage.model_fields))
    writer.writeheader()
    writer.writerows(day.model_dump() for day in days)
    headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
    return Response(out.getvalue(), media_type="text/csv", headers=headers)
