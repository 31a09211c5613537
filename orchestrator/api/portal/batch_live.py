"""The batch's page as it changes: only what is on the part of it that is looked at."""

from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

from fastapi import Request

from orchestrator.api.auth import core_of
from orchestrator.api.portal import batch as pages
from orchestrator.api.portal.batch import EVENTS_MOST, Look, Looks, router
from orchestrator.api.portal.live import live
from orchestrator.api.portal.outcome import outcome
from orchestrator.api.portal.topics import Events, Swap, Topic, first, last, shown
from orchestrator.api.portal.view import fragment
from orchestrator.api.portal.visitor import Visits
from orchestrator.domain.transitions import BATCH_ENDS
from orchestrator.store.listings import get_batch
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.listings_shown import some_jobs
from schemas.batch import Batch
from schemas.event import Event

__all__ = ["router"]
PARTS: Final = "batch_parts.html"
QUEUE_EVERY_S: Final = 5.0
"""How often it is asked how the queue moves on: others' batches tell nothing here."""
TOLD_AT_MOST: Final = 50


@live(router, "/live/batches/{batch_id:uuid}")
def topic(request: Request, visitor: Visits, batch_id: UUID, look: Looks) -> Topic:
    with reading(core_of(request).engine) as reader:
        batch = get_batch(reader, visitor.project, batch_id)
    return Topic(
        key=f"{batch_id} {look}",
        batch=batch_id,
        news=partial(_news, batch_id, look),
        every_s=None if batch.status in BATCH_ENDS else QUEUE_EVERY_S,
    )


def _news(
    batch_id: UUID, look: Look, reader: Reader, project: UUID, events: Events
) -> Sequence[Swap]:
    batch = get_batch(reader, project, batch_id)
    seldom = not events or any(event.job_id is None for event in events) or _is_milestone(batch)
    found = pages.shown_of(reader, batch, foretold=seldom)
    parts = ("head", "can", "figures", "wait") if seldom else ("head", "can", "figures")
    swaps = [shown(f"batch-{part}", fragment(PARTS, part, found)) for part in parts]
    part = _PARTS.get(look.view)
    if part is not None and (events is None or events):
        swaps += part(reader, batch, look, events)
    return swaps


def _is_milestone(batch: Batch) -> bool:
    """Of a batch of very many jobs, what costs more to say is said only now and then: estimates
    and curves, which no single one of its jobs changes visibly."""
    return batch.jobs_left == 0 or batch.jobs_done % max(1, batch.jobs_total // TOLD_AT_MOST) == 0


def _jobs(reader: Reader, batch: Batch, look: Look, events: Events) -> Sequence[Swap]:
    if events is None:
        return [shown("jobs", fragment(PARTS, look.view, pages.jobs_of(reader, batch, look)))]
    if look.status is None and any(event.kind == "jobs_added" for event in events):
        everything = pages.jobs_of(reader, batch, look)
        return [last("jobs", _id(job.id), _item(look, job, got)) for job, got in everything]
    ids = {event.job_id for event in events if event.job_id is not None}
    start, limit = (look.start, look.size) if look.status is None else (0, batch.jobs_total)
    found = some_jobs(reader, batch.project_id, batch.id, [*ids], start=start, limit=limit)
    return [
        shown(_id(job.id), _item(look, job, outcome(job.value, job.size)))
        for job in found[: look.size]
    ]


def _id(job: UUID) -> str:
    return f"job-{job}"


def _item(look: Look, job: object, got: object) -> str:
    return fragment(PARTS, "job_row" if look.view == "jobs" else "job_card", job, got)


def _convergence(reader: Reader, batch: Batch, look: Look, events: Events) -> Sequence[Swap]:
    if events is not None and not _is_milestone(batch):
        return []
    return [shown("convergence", fragment(PARTS, "convergence", pages.curve_of(reader, batch)))]


def _events(reader: Reader, batch: Batch, look: Look, events: Events) -> Sequence[Swap]:
    if look.before is not None:
        return []
    if events is None:
        told = pages.events_of(reader, batch, look, EVENTS_MOST)
        return [shown("events", fragment(PARTS, "events", told))]
    told = pages.events_of(reader, batch, look, min(EVENTS_MOST, _count(events, look)))
    return [
        first(
            "events",
            f"event-{each.event.place}",
            fragment(PARTS, "event", each),
            most=EVENTS_MOST,
        )
        for each in reversed(told)
    ]


def _count(events: Sequence[Event], look: Look) -> int:
    return sum(not look.own or event.job_id is None for event in events)


_PARTS: Final = {
    "jobs": _jobs,
    "results": _jobs,
    "convergence": _convergence,
    "events": _events,
}
