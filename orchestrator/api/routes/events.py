"""What has happened, as pages and as a stream."""

from functools import partial
from typing import Annotated
from uuid import UUID

import anyio
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer, page_text
from orchestrator.api.auth import Caller, core_of
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import DEFAULT, Limit, Reads, refuse_unknown
from orchestrator.api.streaming import Streams, Watch
from orchestrator.services.core import Core
from orchestrator.store.listings import get_batch
from orchestrator.store.listings_events import BEGINNING, check_cursor, list_events, now_cursor
from orchestrator.store.listings_jobs import JsonPage
from orchestrator.store.listings_reading import reading
from schemas.event import Event
from schemas.page import Page

router = APIRouter(prefix="/v1/events", tags=["events"], dependencies=[Depends(refuse_unknown)])
NOW = "now"
STREAM = "text/event-stream"


@router.get("", responses=shows(Page[Event], stream=STREAM))
async def read_events(
    request: Request,
    caller: Reads,
    after: Annotated[
        str | None, Query(max_length=100, description="The id of the last event seen, or `now`.")
    ] = None,
    batch_id: UUID | None = None,
    limit: Limit = DEFAULT,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Events, oldest first, from behind `after`.

    As JSON: a page; without `after` from the beginning. `after=now` gives an empty page whose
    `next_cursor` is the place to go on from later.

    With `Accept: text/event-stream`: those and every later one as they happen, with `id` (the
    cursor), `event` (the kind) and `data` (the event). `Last-Event-ID` goes before `after`;
    without either the stream begins at the beginning for one batch, and now for a whole project.
    """
    core = core_of(request)
    streams: Streams = request.app.state.streams
    if STREAM not in request.headers.get("accept", ""):
        page = partial(_page, core, caller, after or BEGINNING, batch_id, limit)
        return await anyio.to_thread.run_sync(page)
    start = last_event_id or after
    if start is None:
        start = NOW if batch_id is None else BEGINNING
    # Before the answer begins: whoever sees it begin is told of all that happens from there on.
    place = await anyio.to_thread.run_sync(_place, core, caller, start, batch_id)
    return streams.answer(Watch(caller, batch_id, place))


def _page(core: Core, caller: Caller, after: str, batch: UUID | None, limit: int) -> Response:
    with reading(core.engine) as connection:
        if batch is not None:
            get_batch(connection, caller.project, batch)
        if after == NOW:
            return json_answer(page_text(JsonPage([], now_cursor(connection))))
        told = list_events(connection, caller.project, after=after, batch=batch, limit=limit + 1)
    more = told[limit - 1].cursor if len(told) > limit else None
    return json_answer(page_text(JsonPage([each.item for each in told[:limit]], more)))


def _place(core: Core, caller: Caller, start: str, batch: UUID | None) -> str:
    """The cursor to begin at, for a stream that the caller may have."""
    if start != NOW:
        check_cursor(start)
    with reading(core.engine) as connection:
        if batch is not None:
            get_batch(connection, caller.project, batch)
        return now_cursor(connection) if start == NOW else start
