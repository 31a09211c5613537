"""Submitting by hand: paste or upload, fill in, try, submit."""

from typing import Annotated, Any, Final

from fastapi import Request
from fastapi.responses import Response

from orchestrator.api.auth import core_of
from orchestrator.api.portal import drafts
from orchestrator.api.portal.forms import Act, Form, acting
from orchestrator.api.portal.route import pages
from orchestrator.api.portal.view import count, go_to, page
from orchestrator.api.portal.visitor import Submits
from orchestrator.api.problems import status_of
from orchestrator.errors import Flaw, HoldfastError, InsufficientBalance, Rejected
from orchestrator.services import examine, submit
from orchestrator.store import catalog
from orchestrator.store.listings_reading import reading
from orchestrator.store.submissions import Report
from orchestrator.store.transaction import Transaction
from schemas.batch import BatchIn
from schemas.words import Scope

router = pages()
SHOWN_MOST: Final = 20


class _OnlyTried(Exception):
    """Everything was found right, and is taken back."""


@router.get("/submit")
def begin(request: Request, visitor: Submits) -> Response:
    return _first(request)


@router.post("/submit/look")
def look(request: Request, act: Annotated[Act, acting(Scope.SUBMIT)]) -> Response:
    """What was pasted or uploaded, as a table to fill in. Nothing is submitted yet."""
    try:
        draft = _draft(act)
    except Rejected as error:
        return _first(request, act.form, error)
    return _second(request, draft, act.form)


@router.post("/submit/try")
def dry_run(request: Request, act: Annotated[Act, acting(Scope.SUBMIT)]) -> Response:
    """All that a submit does, up to the last moment, and then taken back."""
    return _attempt(request, act, only_try=True)


@router.post("/submit")
def submit_batch(request: Request, act: Annotated[Act, acting(Scope.SUBMIT)]) -> Response:
    return _attempt(request, act, only_try=False)


def _attempt(request: Request, act: Act, *, only_try: bool) -> Response:
    try:
        draft = _draft(act)
    except Rejected as error:
        return _first(request, act.form, error)
    try:
        body = draft.body(_settings(act.form))
        examine.examine(act.core, body)
        if not only_try:
            report = act.run(lambda tx: _submitted(act, tx, body))
            return go_to(request, f"/batches/{report['batch']}", "Submitted.")
        with act.core.transaction() as tx:
            _submitted(act, tx, body)
            raise _OnlyTried
    except _OnlyTried:
        jobs = count(len(body.jobs), "job")
        right = f"This would be accepted: {jobs} for {body.device_type}. Nothing was submitted."
        return _second(request, draft, act.form, right=right)
    except (Rejected, InsufficientBalance) as error:
        return _second(request, draft, act.form, trouble=error)


def _submitted(act: Act, tx: Transaction, body: BatchIn) -> Report:
    visitor = act.visitor
    batch = submit.submit(act.core, tx, visitor.project, visitor.user, body, key=visitor.key)
    return {"batch": str(batch)}


def _draft(act: Act) -> drafts.Draft:
    text = "".join(act.form.all("file")).strip() or act.form.get("text")
    if not text:
        raise Rejected([Flaw("text", "paste a sequence or a batch, or choose a file")])
    return drafts.read(text, act.form, max_bytes=act.core.settings.max_sequence_bytes)


def _settings(form: Form) -> dict[str, Any]:
    """What the form says beside the jobs; what is left empty is left to the file."""
    said = _said(form) | {"priority": form.whole("priority")}
    return {name: value for name, value in said.items() if value not in ("", [], None)}


def _said(form: Form) -> dict[str, Any]:
    """As it was typed."""
    tags = [tag.strip() for tag in form.get("tags").split(",")]
    words = {name: form.get(name) for name in ("device_type", "name", "priority")}
    return words | {"tags": [tag for tag in tags if tag], "open": form.ticked("open")}


def _first(request: Request, form: Form | None = None, trouble: Rejected | None = None) -> Response:
    return page(
        request,
        "submit.html",
        status=200 if trouble is None else status_of(trouble),
        text=form.get("text") if form else "",
        flaws=trouble.flaws if trouble else (),
    )


def _second(
    request: Request,
    draft: drafts.Draft,
    form: Form,
    *,
    right: str = "",
    trouble: HoldfastError | None = None,
) -> Response:
    flaws = trouble.flaws if isinstance(trouble, Rejected) else ()
    with reading(core_of(request).engine) as reader:
        types = catalog.type_names(reader)
    first = "device_type" not in form.fields
    given = draft.given if first else _said(form)
    return page(
        request,
        "submit_jobs.html",
        status=200 if trouble is None else status_of(trouble),
        draft=draft,
        most=drafts.EDITED_MOST,
        shown=draft.jobs[:SHOWN_MOST],
        given=given,
        types=types,
        flaws=flaws,
        wrong={flaw.field: flaw.message for flaw in flaws},
        trouble=str(trouble) if trouble and not flaws else "",
        right=right,
    )
