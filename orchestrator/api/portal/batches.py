"""The list of batches: what runs, what waits and why."""

from typing import Annotated, Final

from fastapi import Depends, Query, Request
from fastapi.responses import Response

from orchestrator.api.auth import core_of
from orchestrator.api.portal.filters import Wanted, wanted_by
from orchestrator.api.portal.listed import PAGE, Listed
from orchestrator.api.portal.live import live
from orchestrator.api.portal.route import pages
from orchestrator.api.portal.topics import Topic
from orchestrator.api.portal.view import page
from orchestrator.api.portal.visitor import Visits
from orchestrator.store.listings_portal import has_any, list_lines, submitters, types_seen
from orchestrator.store.listings_reading import number_in, reading
from schemas.words import BatchStatus

router = pages()
LOOK_EVERY_S: Final = 5.0
"""Other projects' batches move up the queue, too, and nobody tells this one."""
Chosen = Annotated[Wanted, Depends(wanted_by)]
Cursor = Annotated[str | None, Query(max_length=200)]


@router.get("/batches")
def batches(
    request: Request,
    visitor: Visits,
    wanted: Chosen,
    before: Cursor = None,
    after: Cursor = None,
) -> Response:
    with reading(core_of(request).engine) as reader:
        lines = list_lines(
            reader, visitor.project, before=before, after=after, limit=PAGE, wanted=wanted.filter
        )
        people = submitters(reader, visitor.project)
        types = types_seen(reader, visitor.project)
        is_new = not lines.items and not has_any(reader, visitor.project)
    below = before if after is None else lines.newer and lines.items[0].up_to
    return page(
        request,
        "batches.html",
        wanted=wanted,
        lines=lines,
        people=people,
        types=types,
        statuses=[word.value for word in BatchStatus],
        is_new=is_new,
        live_path=wanted.link("/live/batches", before=below),
    )


@live(router, "/live/batches")
def topic(request: Request, visitor: Visits, wanted: Chosen, before: Cursor = None) -> Topic:
    if before is not None:
        number_in("batches", before)
    may = "submit" if visitor.may("submit") else None
    told = Listed(wanted.filter, before, may_submit=may is not None)
    key = wanted.link("", before=before, may=may)
    return Topic(key=key, news=told.news, every_s=LOOK_EVERY_S)
