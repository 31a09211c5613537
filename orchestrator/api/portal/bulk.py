"""Many batches at once: what would happen is told first, and done in small transactions."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Final
from uuid import UUID

from fastapi import Request
from fastapi.responses import Response

from orchestrator.api.auth import core_of
from orchestrator.api.portal.forms import Act, Form, acting
from orchestrator.api.portal.part import Asked, Part, asked_by, part_of
from orchestrator.api.portal.route import pages
from orchestrator.api.portal.view import count, go_to, page
from orchestrator.api.portal.visitor import Visits
from orchestrator.domain.transitions import BATCH_ENDS
from orchestrator.errors import (
    Conflict,
    Flaw,
    Forbidden,
    InsufficientBalance,
    NotFound,
    Rejected,
)
from orchestrator.services import cancel, rebatch
from orchestrator.store.listings_portal import Line
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.submissions import Report
from orchestrator.store.transaction import Transaction
from schemas.batch import Batch, RebatchIn
from schemas.job import JobFilter
from schemas.words import BatchStatus, JobStatus, Scope

router = pages()
SHOWN_MOST: Final = 50
TOGETHER: Final = 20
"""Batches canceled in one transaction, which holds their locks to its end."""
WITHIN_S: Final = 10.0
DOWNLOADED_MOST: Final = 1000
JOBS_MOST: Final = 50_000
ALIVE: Final = [word for word in BatchStatus if word not in BATCH_ENDS]
AGAIN: Final = {"all": None, "failed": [JobStatus.ERROR, JobStatus.CANCELED]}


@dataclass(frozen=True, kw_only=True)
class Words:
    """`{}` is how many batches."""

    title: str
    what: str
    button: str
    nothing: str


WORDS: Final = {
    "cancel": Words(
        title="Cancel {}?",
        what="Their jobs that wait never begin, and each gives its device to the next batch. What"
        " is done by then stays done.",
        button="Cancel {}",
        nothing="There is nothing to cancel: none of these batches is under way or waits.",
    ),
    "rebatch": Words(
        title="Rebatch {}?",
        what="Each is submitted once more as a new batch of yours, with the same jobs, device"
        " type, priority and tags. The old ones stay as they are.",
        button="Submit {} again",
        nothing="There is no batch to submit again.",
    ),
    "download": Words(
        title="Download the results of {}",
        what="One folder for each batch with one JSON file for each job and an index, or all in"
        f" one JSON file: at most {DOWNLOADED_MOST:,} batches or {JOBS_MOST:,} jobs at once. A job"
        " that has no result is there, too, with its status.",
        button="",
        nothing="There is no batch to download the results of.",
    ),
}


@router.get("/batches/bulk")
def confirm(request: Request, visitor: Visits) -> Response:
    """Says exactly what would happen to how many."""
    act = _known(request.query_params.get("act", ""))
    if act != "download" and not visitor.may(Scope.SUBMIT):
        raise Forbidden("your role lets you look at batches, not change them")
    asked = asked_by(request.query_params.getlist)
    with reading(core_of(request).engine) as reader:
        part = TAKES[act](reader, visitor.project, asked)
    batches, words = count(len(part.items), "batch", "batches"), WORDS[act]
    return page(
        request,
        "batches_bulk.html",
        act=act,
        part=part,
        back=asked.back,
        title=words.title.format(batches if part.items else "batches"),
        what=words.what,
        button=words.button.format(batches),
        nothing=words.nothing,
        passed_over=0 if asked.ids is None else len(asked.ids) - part.total,
        shown_most=SHOWN_MOST,
    )


@router.post("/batches/bulk")
def carry_out(request: Request, act: Annotated[Act, acting(Scope.SUBMIT)]) -> Response:
    """Again does no harm: what is canceled stays so, and a form makes a new batch once."""
    name = _known(act.form.get("act"), among=DOES)
    asked = asked_by(act.form.all)
    with reading(act.core.engine) as reader:
        part = TAKES[name](reader, act.visitor.project, asked)
    done, said = DOES[name](act, part.items)
    more = part.rest or done < len(part.items)
    if more and done and asked.ids is None:
        return go_to(request, part.next_link(name, part.items[done - 1]), f"{said} There are more.")
    if done < len(part.items):
        said += f" {count(len(part.items) - done, 'batch', 'batches')} could not be reached."
    return go_to(request, asked.back, said, kind="good" if done == len(part.items) else "bad")


def _known(act: str, among: Container[str] = WORDS) -> str:
    if act not in among:
        raise Rejected([Flaw("act", "must be cancel, rebatch or download")])
    return act


def _cancel(act: Act, lines: Sequence[Line]) -> tuple[int, str]:
    """How many of the lines were seen to, and what became of them. Newest first: what waits
    behind another must not begin because that one is canceled."""
    until, verdicts, done = time.monotonic() + WITHIN_S, Counter[str](), 0
    while done < len(lines) and time.monotonic() < until:
        ids = [line.batch.id for line in lines[done : done + TOGETHER]]
        with act.core.transaction() as tx:
            found = cancel.cancel_batches(
                act.core, tx, act.visitor.project, ids, interrupt=act.form.ticked("interrupt")
            )
        verdicts.update(verdict for _, verdict in found)
        done += len(ids)
    said = f"{count(verdicts['canceled'], 'batch', 'batches')} canceled."
    if verdicts["ended"]:
        said += f" {verdicts['ended']:,} had ended before."
    return done, said


def _rebatch(act: Act, lines: Sequence[Line]) -> tuple[int, str]:
    jobs = act.form.get("jobs", "all")
    if jobs not in AGAIN:
        raise Rejected([Flaw("jobs", f"must be one of {', '.join(AGAIN)}")])
    body = RebatchIn(filter=JobFilter(statuses=AGAIN[jobs]))
    until, done, left_out, stopped = time.monotonic() + WITHIN_S, 0, Counter[str](), ""
    while done < len(lines) and time.monotonic() < until:
        try:
            if why_not := _made(act, lines[done].batch, body):
                left_out[why_not] += 1
        except InsufficientBalance as error:
            stopped = f" Stopped: {error}."
            break
        done += 1
    said = f"{count(done - left_out.total(), 'new batch', 'new batches')} submitted."
    for why_not, number in left_out.most_common(2):
        said += f" {number:,} left out: {why_not}."
    return done, said + stopped


def _made(act: Act, batch: Batch, body: RebatchIn) -> str | None:
    """Why not, where that is the batch's own fault."""
    if body.filter.statuses and not batch.jobs_failed + batch.jobs_canceled:
        return "none of its jobs failed or was canceled"
    try:
        _once(act, batch.id).run(partial(_again, act, batch.id, body))
    except (Conflict, Rejected, NotFound) as error:
        return str(error)
    return None


def _once(act: Act, batch: UUID) -> Act:
    """The same form sent again makes no second one of this batch."""
    key = hashlib.sha256(f"{act.form.get('key')} {batch}".encode()).hexdigest()
    return replace(act, form=Form({**act.form.fields, "key": [key]}))


def _again(act: Act, batch: UUID, body: RebatchIn, tx: Transaction) -> Report:
    who = act.visitor
    new = rebatch.rebatch(act.core, tx, who.project, who.user, batch, body, key=who.key)
    return {"batch": str(new)}


Take = Callable[[Reader, UUID, Asked], Part]
TAKES: Final[Mapping[str, Take]] = {
    "cancel": partial(part_of, most=1000, statuses=ALIVE),
    "rebatch": partial(part_of, most=100),
    "download": partial(part_of, most=DOWNLOADED_MOST, jobs_most=JOBS_MOST),
}
DOES: Final[Mapping[str, Callable[[Act, Sequence[Line]], tuple[int, str]]]] = {
    "cancel": _cancel,
    "rebatch": _rebatch,
}
