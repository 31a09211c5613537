"""The page of one batch: how it stands, why it waits, what its jobs gave."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Depends, Query, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import core_of
from orchestrator.api.portal.charts import Convergence, convergence
from orchestrator.api.portal.history import Told, told
from orchestrator.api.portal.outcome import ShownResult, outcome
from orchestrator.api.portal.route import pages
from orchestrator.api.portal.view import page as shown_page
from orchestrator.api.portal.view import short
from orchestrator.api.portal.visitor import Visits
from orchestrator.domain.transitions import BATCH_ENDS
from orchestrator.errors import CertificateNotReady, Flaw, NotCertifiable
from orchestrator.proof.exclusive import batch_of
from orchestrator.services import certify
from orchestrator.services.core import Core
from orchestrator.services.estimate import estimate
from orchestrator.store.entries import SHARED
from orchestrator.store.listings import get_batch
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.listings_shown import (
    ShownJob,
    devices_had,
    objectives,
    page_of_jobs,
    past_of_batch,
    shared_text,
)
from schemas.batch import Batch
from schemas.certificate import Certificate
from schemas.estimate import Estimate
from schemas.words import BatchStatus, JobStatus

router = pages()

View = Literal["jobs", "results", "convergence", "parameters", "events", "certificate"]
PAGE: Final = {"jobs": 50, "results": 12}
EVENTS_MOST: Final = 100
PARAMETERS_MOST: Final = 512 * 1024
_PAGES_MOST: Final = 100_000


@dataclass(frozen=True, slots=True)
class Look:
    """Which part of the batch is looked at. `status`: of the jobs that are shown; `before`: older
    events than this place; `own`: only what became of the batch itself."""

    view: View = "jobs"
    page: int = 1
    status: JobStatus | None = None
    before: str | None = None
    own: bool = False

    @property
    def size(self) -> int:
        return PAGE.get(self.view, 0)

    @property
    def start(self) -> int:
        return (self.page - 1) * self.size


@dataclass(frozen=True, slots=True)
class Draft:
    """A form that was refused: what stood in it, by field, and what must change."""

    form: str
    given: Mapping[str, Any]
    flaws: tuple[Flaw, ...]


def looking(
    view: View = "jobs",
    page: Annotated[int, Query(ge=1, le=_PAGES_MOST)] = 1,
    status: JobStatus | None = None,
    before: Annotated[str | None, Query(max_length=50)] = None,
    own: bool = False,
) -> Look:
    return Look(view, page, status, before, own)


Looks = Annotated[Look, Depends(looking)]


@dataclass(frozen=True, slots=True)
class Shown:
    """`had`: the devices of one that is over; `can`: the verbs that make sense now."""

    batch: Batch
    estimate: Estimate | None
    had: list[str]
    can: frozenset[str] = field(default_factory=frozenset)


def shown_of(reader: Reader, batch: Batch, *, foretold: bool = True) -> Shown:
    """Without the estimate unless `foretold`: it is what costs most."""
    over = batch.status in BATCH_ENDS
    had = devices_had(reader, batch.project_id, batch.id) if over else []
    return Shown(batch, expected(reader, batch) if foretold else None, had, verbs(batch))


def expected(reader: Reader, batch: Batch) -> Estimate | None:
    if batch.status in BATCH_ENDS or batch.device_type == SHARED:
        return None
    return estimate(reader, batch.project_id, batch.id)


def verbs(batch: Batch) -> frozenset[str]:
    over = batch.status in BATCH_ENDS
    twins = batch.device_type == SHARED
    revivable = batch.status in (BatchStatus.CANCELED, BatchStatus.ERROR)
    sense = {
        "close": batch.open and not over,
        "cancel": not over,
        "cancel-pending": not over and batch.jobs_left > 0,
        "add": batch.open and not over,
        "rebatch": (over or not batch.open) and batch.jobs_total > 0 and not twins,
        "revive": revivable and batch.jobs_done < batch.jobs_total and not twins,
    }
    return frozenset(verb for verb, makes_sense in sense.items() if makes_sense)


@router.get("/batches/{batch_id:uuid}")
def show(request: Request, visitor: Visits, batch_id: UUID, look: Looks) -> Response:
    return batch_page(request, visitor.project, batch_id, look)


def batch_page(
    request: Request, project: UUID, batch_id: UUID, look: Look, draft: Draft | None = None
) -> Response:
    """With a `draft`: as it was refused. Raises NotFound."""
    core = core_of(request)
    with reading(core.engine) as reader:
        shown = shown_of(reader, get_batch(reader, project, batch_id))
        part = _PARTS[look.view](reader, core, shown.batch, look)
    return shown_page(
        request,
        "batch.html",
        status=422 if draft else 200,
        shown=shown,
        batch=shown.batch,
        look=look,
        draft=draft,
        **part,
    )


def _jobs(reader: Reader, core: Core, batch: Batch, look: Look) -> dict[str, Any]:
    found = jobs_of(reader, batch, look)
    return {"jobs": found, "more": _more(batch, look, found)}


def jobs_of(reader: Reader, batch: Batch, look: Look) -> list[tuple[ShownJob, ShownResult]]:
    """Those of the page that is looked at."""
    found = page_of_jobs(
        reader,
        batch.project_id,
        batch.id,
        start=look.start,
        limit=look.size,
        status=None if look.status is None else look.status.value,
    )
    return [(job, outcome(job.value, job.size)) for job in found]


def _more(batch: Batch, look: Look, found: list[Any]) -> bool:
    if look.status is not None:
        return len(found) == look.size
    return look.start + len(found) < batch.jobs_total


def _convergence(reader: Reader, core: Core, batch: Batch, look: Look) -> dict[str, Any]:
    return {"curve": curve_of(reader, batch)}


def curve_of(reader: Reader, batch: Batch) -> tuple[str, Convergence] | None:
    """Of the key that most results have."""
    points = objectives(reader, batch.project_id, batch.id)
    if not points:
        return None
    ((key, _),) = Counter(point.key for point in points).most_common(1)
    curve = convergence([(each.ordinal, each.value) for each in points if each.key == key])
    return None if curve is None else (key, curve)


def _parameters(reader: Reader, core: Core, batch: Batch, look: Look) -> dict[str, Any]:
    shared = shared_text(reader, batch.project_id, batch.id, most=PARAMETERS_MOST)
    program = outcome(shared.text, shared.size)
    if isinstance(program.value, dict) and isinstance(program.value.get("sequence"), str):
        written = outcome(program.value["sequence"], 0).value
        program.value["sequence"] = written or program.value["sequence"]
    return {"program": program, "sequence": _sequence(program.value)}


def _sequence(program: Any) -> dict[str, Any] | None:
    """Of a serialized Pulser sequence what its user knows it by; nothing of one that is odd."""
    found = program.get("sequence") if isinstance(program, dict) else None
    try:
        return found and {
            "atoms": len(found["register"]),
            "device": str(found.get("device", {}).get("name", "")),
            "channels": [*map(str, found.get("channels", {}))][:20],
            "variables": [*map(str, found.get("variables", {}))][:50],
        }
    except (KeyError, TypeError, AttributeError):
        return None


def _events(reader: Reader, core: Core, batch: Batch, look: Look) -> dict[str, Any]:
    events = events_of(reader, batch, look, EVENTS_MOST + 1)
    older = events[EVENTS_MOST - 1].event.place if len(events) > EVENTS_MOST else None
    return {"events": events[:EVENTS_MOST], "older": older}


def events_of(reader: Reader, batch: Batch, look: Look, limit: int) -> list[Told]:
    found = past_of_batch(
        reader, batch.project_id, batch.id, limit=limit, before=look.before, jobs=not look.own
    )
    return [told(event) for event in found]


def _certificate(reader: Reader, core: Core, batch: Batch, look: Look) -> dict[str, Any]:
    try:
        signed = certify.certify(core, batch.project_id, batch.id)
    except CertificateNotReady as error:
        return {"certificate": None, "why_not": str(error), "later": True}
    except NotCertifiable as error:
        return {"certificate": None, "why_not": str(error), "later": False}
    found = Certificate.model_validate_json(signed.certificate)
    neighbours = [(_neighbour(held.before), _neighbour(held.after)) for held in found.held]
    return {"certificate": found, "signed": signed, "neighbours": neighbours}


def _neighbour(line: str | None) -> str:
    if line is None:
        return "nothing yet"
    if " " not in line:
        return "a job of another project"
    batch = batch_of(line)
    return "the log was opened" if batch is None else f"batch {short(batch)}"


_PARTS: Final[dict[str, Callable[[Reader, Core, Batch, Look], dict[str, Any]]]] = {
    "jobs": _jobs,
    "results": _jobs,
    "convergence": _convergence,
    "parameters": _parameters,
    "events": _events,
    "certificate": _certificate,
}


@router.get("/batches/{batch_id:uuid}/certificate.json")
def certificate(request: Request, visitor: Visits, batch_id: UUID) -> Response:
    """The file that `holdfast verify --certificate` checks."""
    signed = certify.certify(core_of(request), visitor.project, batch_id)
    name = f'attachment; filename="certificate-{batch_id}.json"'
    return json_answer(signed.model_dump_json(), headers={"Content-Disposition": name})
