"""The page of one job: what it gave, or why not, and what happened to it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Header, Request
from fastapi.responses import Response

from orchestrator.api.auth import core_of
from orchestrator.api.portal.batch_actions import Submit
from orchestrator.api.portal.charts import Span, timeline
from orchestrator.api.portal.history import Told, Trouble, stretches, told, trouble
from orchestrator.api.portal.live import live
from orchestrator.api.portal.outcome import ShownResult, outcome, pretty
from orchestrator.api.portal.route import pages
from orchestrator.api.portal.topics import Events, Swap, Topic, shown
from orchestrator.api.portal.view import fragment, go_to, page
from orchestrator.api.portal.visitor import Visits
from orchestrator.api.results import result_answer
from orchestrator.domain.links import flower_task
from orchestrator.domain.transitions import BATCH_ENDS, JOB_ENDS
from orchestrator.errors import BatchClosed, Conflict, InsufficientBalance, Rejected
from orchestrator.services import append, cancel, rebatch
from orchestrator.store.entries import SHARED
from orchestrator.store.listings import get_batch
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.listings_shown import ShownJob, get_shown, past_of_job
from orchestrator.store.results import get_result
from orchestrator.store.transaction import Transaction
from schemas.batch import Batch, RebatchIn
from schemas.job import JobFilter

router = pages()
RESULT_MOST: Final = 256 * 1024
PAST_MOST: Final = 200
PARTS: Final = "job_parts.html"


class Seen:
    """What a job's page shows; `past` is newest first."""

    def __init__(self, job: ShownJob, batch: Batch, past: Sequence[Told]) -> None:
        self.job = job
        self.batch = batch
        self.past = past

    @property
    def got(self) -> ShownResult:
        return outcome(self.job.value, self.job.size)

    @property
    def trouble(self) -> Trouble | None:
        return trouble(self.job)

    @property
    def spans(self) -> list[Span]:
        events = [each.event for each in reversed(self.past)]
        return timeline(stretches(self.job, events, datetime.now(UTC).timestamp()))

    @property
    def window(self) -> int | None:
        """Of its latest run, as Flower knows it."""
        return next((each.window for each in self.past if each.window is not None), None)

    @property
    def asked(self) -> str:
        """Its own payload, as JSON, but for what the facts show."""
        rest = {name: value for name, value in self.job.payload.items() if name != "runs"}
        return pretty(rest) if rest else ""

    @property
    def can(self) -> list[str]:
        over = self.job.status in JOB_ENDS
        if self.batch.device_type == SHARED:
            return [] if over else ["cancel"]
        takes = self.batch.open and self.batch.status not in BATCH_ENDS
        return ([] if over else ["cancel"]) + ([("retry" if takes else "renew")] if over else [])


def read(reader: Reader, project: UUID, job_id: UUID) -> Seen:
    """Raises NotFound."""
    job = get_shown(reader, project, job_id, most=RESULT_MOST)
    past = past_of_job(reader, project, job.batch_id, job_id, limit=PAST_MOST)
    return Seen(job, get_batch(reader, project, job.batch_id), [told(each) for each in past])


@router.get("/jobs/{job_id:uuid}")
def show(request: Request, visitor: Visits, job_id: UUID) -> Response:
    core = core_of(request)
    with reading(core.engine) as reader:
        seen = read(reader, visitor.project, job_id)
    flower = core.settings.flower_url if visitor.may("operate") else ""
    window = seen.window
    link = flower_task(flower, window) if flower and window is not None else ""
    return page(request, "job.html", seen=seen, flower=link)


@live(router, "/live/jobs/{job_id:uuid}")
def topic(request: Request, visitor: Visits, job_id: UUID) -> Topic:
    with reading(core_of(request).engine) as reader:
        job = get_shown(reader, visitor.project, job_id, most=0)
    return Topic(key=str(job_id), batch=job.batch_id, news=partial(_news, job_id))


def _news(job_id: UUID, reader: Reader, project: UUID, events: Events) -> Sequence[Swap]:
    if events and all(event.job_id not in (None, job_id) for event in events):
        return []
    seen = read(reader, project, job_id)
    parts = ("head", "can", "trouble", "result", "times", "past")
    return [shown(f"job-{part}", fragment(PARTS, part, seen)) for part in parts]


@router.get("/jobs/{job_id:uuid}/result.json")
def result(
    request: Request,
    visitor: Visits,
    job_id: UUID,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """All of it, whatever its size."""
    core = core_of(request)
    with reading(core.engine, visitor.project) as reader:
        row = get_result(reader, visitor.project, job_id)
    answer = result_answer(row, core.settings, if_none_match)
    answer.headers["Content-Disposition"] = f'attachment; filename="result-{job_id}.json"'
    return answer


@router.post("/jobs/{job_id:uuid}/cancel")
def cancel_it(request: Request, act: Submit, job_id: UUID) -> Response:
    interrupt = act.form.ticked("interrupt")

    def decide(tx: Transaction) -> dict[str, Any]:
        verdict = cancel.cancel_job(act.core, tx, act.visitor.project, job_id, interrupt=interrupt)
        return {"verdict": verdict}

    said, kind = _VERDICTS[act.run(decide)["verdict"]]
    return go_to(request, f"/jobs/{job_id}", said, kind=kind)


_VERDICTS: Final = {
    "canceled": ("The job is canceled: it will never begin.", "good"),
    "interrupting": ("The job is being stopped.", "good"),
    "running": ("The job has begun, and is left to end.", "bad"),
    "ended": ("The job was over already.", "bad"),
}


@router.post("/jobs/{job_id:uuid}/retry")
def retry(request: Request, act: Submit, job_id: UUID) -> Response:
    """In its batch, if that is open; else in a new batch of this one job."""
    visitor, core = act.visitor, act.core

    def decide(tx: Transaction) -> dict[str, Any]:
        try:
            return {"to": f"/jobs/{append.retry(core, tx, visitor.project, job_id)}"}
        except BatchClosed:
            pass
        job = core.jobs.get(tx, visitor.project, job_id)
        assert job is not None
        body = RebatchIn(filter=JobFilter(ids=[job_id]))
        new = rebatch.rebatch(
            core, tx, visitor.project, visitor.user, job.batch_id, body, key=visitor.key
        )
        return {"to": f"/batches/{new}"}

    try:
        to = act.run(decide)["to"]
    except (Conflict, Rejected, InsufficientBalance) as error:
        return go_to(request, f"/jobs/{job_id}", f"Not done: {error}.", kind="bad")
    here = to.startswith("/jobs/")
    return go_to(request, to, "This is the new job." if here else "This is the new batch.")
