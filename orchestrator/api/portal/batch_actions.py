"""What may be done to one batch, from its page."""

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel
from pydantic_core import from_json

from orchestrator.api.portal.batch import Draft, Look, batch_page
from orchestrator.api.portal.forms import Act, Form, acting, parsed
from orchestrator.api.portal.route import pages
from orchestrator.api.portal.view import count, go_to
from orchestrator.errors import Conflict, Flaw, InsufficientBalance, Rejected
from orchestrator.services import append, cancel, close, examine, rebatch, revive, tag
from orchestrator.store.listings_reading import reading
from orchestrator.store.listings_shown import jobs_by_ordinal
from orchestrator.store.transaction import Transaction
from schemas.batch import RebatchIn, TagsIn
from schemas.job import JobFilter, JobsIn
from schemas.words import JobStatus, Scope

router = pages(prefix="/batches/{batch_id:uuid}")
Submit = Annotated[Act, acting(Scope.SUBMIT)]
Model = TypeVar("Model", bound=BaseModel)
ORDINALS_MOST: Final = 10_000
_RANGE: Final = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", re.ASCII)
_INNER: Final = re.compile(r"^(jobs\[0\]|filter)\.")


def _change(
    request: Request, act: Act, batch: UUID, change: Callable[[Transaction], str]
) -> Response:
    """A verb of one button. What is not possible any more is said on the page, as it now is."""
    try:
        report = act.run(lambda tx: {"said": change(tx)})
    except Conflict as error:
        return go_to(request, f"/batches/{batch}", f"Not done: {error}.", kind="bad")
    return go_to(request, f"/batches/{batch}", report["said"])


@router.post("/close")
def close_it(request: Request, act: Submit, batch_id: UUID) -> Response:
    def change(tx: Transaction) -> str:
        close.close(act.core, tx, act.visitor.project, batch_id)
        return "The batch is closed: it is done when its jobs are over."

    return _change(request, act, batch_id, change)


@router.post("/cancel")
def cancel_it(request: Request, act: Submit, batch_id: UUID) -> Response:
    interrupt = act.form.ticked("interrupt")

    def change(tx: Transaction) -> str:
        cancel.cancel_batch(act.core, tx, act.visitor.project, batch_id, interrupt=interrupt)
        return "The batch is canceled." + ("" if interrupt else " What runs now is left to end.")

    return _change(request, act, batch_id, change)


@router.post("/cancel-pending")
def cancel_pending(request: Request, act: Submit, batch_id: UUID) -> Response:
    chosen = JobFilter(statuses=[JobStatus.PENDING])

    def change(tx: Transaction) -> str:
        found = cancel.cancel_jobs(
            act.core, tx, act.visitor.project, batch_id, chosen, interrupt=False
        )
        canceled = sum(verdict == "canceled" for _, verdict in found)
        left = len(found) - canceled
        begun = f" {count(left, 'job')} had begun already." if left else ""
        return f"{count(canceled, 'job')} canceled.{begun}"

    return _change(request, act, batch_id, change)


@router.post("/revive")
def revive_it(request: Request, act: Submit, batch_id: UUID) -> Response:
    def change(tx: Transaction) -> str:
        revive.revive(act.core, tx, act.visitor.project, batch_id)
        return "What was unfinished waits for its turn again."

    return _change(request, act, batch_id, change)


@router.post("/tags")
def set_tags(request: Request, act: Submit, batch_id: UUID) -> Response:
    def change() -> Response:
        words = [word for each in act.form.get("tags").split(",") if (word := each.strip())]
        given = parsed(TagsIn, {"tags": words})

        def decide(tx: Transaction) -> dict[str, Any]:
            tag.tag(act.core, tx, act.visitor.project, batch_id, given.tags)
            return {}

        act.run(decide)
        return go_to(request, f"/batches/{batch_id}?view=parameters", "The tags are saved.")

    return _or_again(request, act, batch_id, "tags", Look("parameters"), change)


@router.post("/jobs")
def add_job(request: Request, act: Submit, batch_id: UUID) -> Response:
    project = act.visitor.project

    def change() -> Response:
        given = parsed(JobsIn, {"jobs": [_job(act.form)]}).jobs
        due = examine.is_due(given)

        def decide(tx: Transaction) -> dict[str, Any]:
            return {"job": str(append.append(act.core, tx, project, batch_id, given)[0])}

        report = act.run(
            decide,
            (lambda: examine.examine_jobs(act.core, project, batch_id, given)) if due else None,
        )
        return go_to(request, f"/jobs/{report['job']}", "The job is added.")

    return _or_again(request, act, batch_id, "add", Look(), change)


@router.post("/rebatch")
def rebatch_it(request: Request, act: Submit, batch_id: UUID) -> Response:
    visitor = act.visitor

    def change() -> Response:
        body = parsed(RebatchIn, _rebatch(act, batch_id))

        def decide(tx: Transaction) -> dict[str, Any]:
            return {
                "batch": str(
                    rebatch.rebatch(
                        act.core, tx, visitor.project, visitor.user, batch_id, body, key=visitor.key
                    )
                )
            }

        report = act.run(decide)
        return go_to(request, f"/batches/{report['batch']}", "This is the new batch.")

    return _or_again(request, act, batch_id, "rebatch", Look(), change)


def _or_again(
    request: Request,
    act: Act,
    batch: UUID,
    form: str,
    look: Look,
    change: Callable[[], Response],
) -> Response:
    """A form that is refused is shown again, with what stood in it."""
    try:
        return change()
    except Rejected as error:
        flaws = tuple(Flaw(_INNER.sub("", flaw.field), flaw.message) for flaw in error.flaws)
    except (Conflict, InsufficientBalance) as error:
        flaws = (Flaw("Not done:", str(error)),)
    fields = {name: act.form.get(name) for name in act.form.fields if name != "csrf"}
    given = fields | {"statuses": act.form.all("statuses")}
    return batch_page(request, act.visitor.project, batch, look, Draft(form, given, flaws))


def _job(form: Form) -> dict[str, Any]:
    """As the API takes it."""
    given = {
        "runs": form.whole("runs"),
        "variables": _json(form, "variables"),
        "payload": _json(form, "payload"),
    }
    return {name: value for name, value in given.items() if value is not None}


def _json(form: Form, name: str) -> Any:
    """None where the field is empty. Raises Rejected."""
    text = form.get(name)
    if not text:
        return None
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise Rejected([Flaw(name, f"must be JSON: {error}")]) from None


def _rebatch(act: Act, batch: UUID) -> dict[str, Any]:
    form = act.form
    chosen = {
        "statuses": form.all("statuses") or None,
        "min_runs": form.whole("min_runs"),
        "max_runs": form.whole("max_runs"),
        "ids": _ids(act, batch),
    }
    return {
        "filter": {name: value for name, value in chosen.items() if value is not None},
        "open": form.ticked("open"),
        "name": form.get("name") or None,
    }


def _ids(act: Act, batch: UUID) -> list[str] | None:
    """Of the jobs with the numbers that were given."""
    words = act.form.get("ordinals")
    if not words:
        return None
    wanted = sorted({*_ordinals(words)})
    with reading(act.core.engine) as reader:
        found = jobs_by_ordinal(reader, act.visitor.project, batch, wanted)
    if len(found) < len(wanted):
        raise Rejected([Flaw("numbers", f"name {len(wanted)} jobs, but it has {len(found)} such")])
    return [str(job) for job in found]


def _ordinals(words: str) -> Iterator[int]:
    left = ORDINALS_MOST
    for word in words.split(","):
        found = _RANGE.fullmatch(word.strip())
        if found is None:
            told = word.strip()[:50]
            raise Rejected([Flaw("numbers", f"must be such as 1-5, 8; got {told!r}")])
        first = int(found[1])
        last = int(found[2] or first)
        left -= last - first + 1
        if last < first or left < 0:
            raise Rejected([Flaw("numbers", f"must go upwards, over {ORDINALS_MOST} at most")])
        yield from range(first, last + 1)
