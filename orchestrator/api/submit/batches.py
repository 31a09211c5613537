"""Submissions, and what they would come to."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from orchestrator.api.auth import core_of, requires
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.refusals import BatchTooLarge, JobRefused
from orchestrator.api.submit.calls import (
    KEPT,
    Call,
    Ration,
    ask,
    calling,
    parsed,
    run,
    submitter,
)
from orchestrator.config import Settings
from orchestrator.domain.credit import HOUR_S
from orchestrator.errors import Flaw, Rejected
from orchestrator.services.submit_many import Verdict, estimate, fit, submit_many
from orchestrator.store.submissions import Report
from orchestrator.store.transaction import Transaction
from schemas.chemistry import MAX_ATOMS
from schemas.submit import (
    CapacityIn,
    CapacityOut,
    EntryIn,
    EntryOut,
    EstimateOut,
    LimitsOut,
    SubmitBatchIn,
    SubmitBatchOut,
)
from schemas.words import Scope

router = APIRouter(prefix="/api/v1", tags=["submit-batch"], dependencies=[Depends(refuse_unknown)])
_JOBS: Final = frozenset(SubmitBatchIn.model_fields)
_CAPACITY: Final = frozenset(CapacityIn.model_fields)


def _entries(body: dict[str, Any], settings: Settings) -> list[Any]:
    jobs, most = body.get("jobs"), settings.max_batch_size
    if not isinstance(jobs, list):
        raise Rejected([Flaw("jobs", "must be a list of entries")])
    if not 1 <= len(jobs) <= most:
        said = f"has {len(jobs)} jobs; send 1 to {most} in one call (max_batch_size is {most})"
        raise BatchTooLarge([Flaw("jobs", said)])
    return jobs


@router.post("/jobs/submit-batch", responses=shows(SubmitBatchOut))
def submit_batch(call: Annotated[Call, calling(SubmitBatchIn)]) -> Response:
    """Up to `max_batch_size` jobs, each judged by itself. 402: nothing is submitted at all."""
    ration = Ration(call.core, call.caller)

    def decide(tx: Transaction) -> Report:
        ration.take()
        given = _entries(parsed(call.body, _JOBS), call.core.settings)
        return _report(submit_many(call.core, tx, submitter(call.caller), given))

    answer = run(call, decide, _shown)
    answer.headers.update(ration.headers)
    return answer


def _report(verdicts: list[Verdict]) -> Report:
    counts = {"submitted": 0, "failed": 0, "cache_hit": 0}
    for each in verdicts:
        counts[each["status"]] += 1
    return {"total": len(verdicts), **counts, "entries": verdicts}


def _shown(report: Report) -> Report:
    return {
        "total": report["total"],
        "submitted": report["submitted"],
        "failed": report["failed"],
        "cache_hits": report["cache_hit"],
        "jobs": report["entries"],
    }


@router.post("/jobs", status_code=200, responses=shows(EntryOut))
def submit_one(call: Annotated[Call, calling(EntryIn)]) -> Response:
    """One job; not counted among the batches of a minute. 422 `job_refused` says why not."""

    def decide(tx: Transaction) -> Report:
        given = parsed(call.body, frozenset(EntryIn.model_fields))
        verdicts = submit_many(call.core, tx, submitter(call.caller), [given])
        if verdicts[0]["status"] == "failed":
            raise JobRefused([Flaw("job", verdicts[0]["error"])])
        return _report(verdicts)

    return run(call, decide, lambda report: report["entries"][0])


@router.post("/jobs/estimate", responses=shows(EstimateOut))
def estimate_batch(call: Annotated[Call, calling(SubmitBatchIn, Scope.READ)]) -> Response:
    """What would be held if the same body were submitted now. Nothing is."""

    def answer(tx: Transaction) -> dict[str, Any]:
        given = _entries(parsed(call.body, _JOBS), call.core.settings)
        quote = estimate(call.core, tx, submitter(call.caller), given)
        return EstimateOut(
            required=quote.required,
            available=quote.available,
            shortfall=quote.shortfall,
            billable_jobs=quote.billable_jobs,
            assumed_runtime_s=HOUR_S,
        ).model_dump()

    return ask(call, answer)


@router.post("/compute-targets/estimate", responses=shows(CapacityOut))
def estimate_capacity(call: Annotated[Call, calling(CapacityIn, Scope.READ)]) -> Response:
    """How many of these jobs a target would accept now."""

    def answer(tx: Transaction) -> dict[str, Any]:
        body = parsed(call.body, _CAPACITY)
        target = body.get("compute_target")
        if not isinstance(target, str | None):
            raise Rejected([Flaw("compute_target", "must be the name of a target, or null")])
        given = [
            {**each, "compute_target": target} if isinstance(each, dict) else each
            for each in _entries(body, call.core.settings)
        ]
        verdicts = fit(call.core, tx, submitter(call.caller), given)
        accepted = sum(each["status"] != "failed" for each in verdicts)
        return {"controller": target or "managed", "fit": accepted, "jobs": verdicts}

    return ask(call, answer)


@router.get("/limits", responses=shows(LimitsOut))
def read_limits(
    request: Request, caller: Annotated[object, Depends(requires(Scope.READ))]
) -> LimitsOut:
    """What this door allows."""
    settings = core_of(request).settings
    return LimitsOut(
        max_batch_size=settings.max_batch_size,
        max_body_bytes=settings.max_body_bytes,
        batches_per_minute=settings.batches_per_minute,
        max_atoms=MAX_ATOMS,
        idempotency_key_ttl_s=int(KEPT.total_seconds()),
        managed_compute=settings.managed,
    )
