"""Results over HTTP: the text that the device gave, as it is."""

from typing import Any
from uuid import UUID

from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from orchestrator.api.refusals import ResultNotReady
from orchestrator.config import Settings
from orchestrator.store.objects import read_object
from orchestrator.store.results import ResultRow
from schemas.words import JobStatus


class JobResult(BaseModel):
    """`result` is null until the job is DONE, and where it is too large for a page: then it is to
    be had at `result_url`."""

    job_id: UUID
    ordinal: int
    status: JobStatus
    reason: str | None = None
    result: Any = None
    result_url: str | None = None


def result_answer(row: ResultRow, settings: Settings, known: str | None) -> Response:
    """`known` is the entity tag that the caller has already. Raises ResultNotReady."""
    if row.sha256 is None:
        raise ResultNotReady(_why_not(row))
    headers = {"ETag": f'"{row.sha256}"', "Cache-Control": "private, no-cache"}
    if known is not None and row.sha256 in known:
        return Response(status_code=304, headers=headers)
    if row.ref is None:
        return Response(row.value, media_type="application/json", headers=headers)
    return StreamingResponse(
        read_object(settings.store_url, settings.s3, row.ref),
        media_type="application/json",
        headers={**headers, "Content-Length": str(row.size)},
    )


def _why_not(row: ResultRow) -> str:
    if row.status in (JobStatus.PENDING, JobStatus.RUNNING):
        return f"the job is {row.status}: it has no result yet"
    reason = f" ({row.reason})" if row.reason else ""
    return f"the job is {row.status}{reason}: it will never have a result"
