"""What a batch must be to be admitted. Everything wrong with it is said at once."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from orchestrator.config import Settings
from orchestrator.domain.sequence import (
    SequenceFacts,
    check_atoms,
    check_job,
    check_runs,
    check_sequence,
)
from orchestrator.domain.webhook import url_flaw
from orchestrator.errors import Flaw, Rejected
from orchestrator.store.catalog import DeviceType
from orchestrator.store.jobs import NewJob
from schemas.batch import BatchIn
from schemas.job import JobIn


def check_batch(
    body: BatchIn, kind: DeviceType | None, known: Sequence[str], settings: Settings
) -> None:
    """Raises Rejected with every flaw; nothing has been written yet."""
    if kind is None:
        names = ", ".join(known) or "none yet: start a worker"
        raise Rejected([Flaw("device_type", f"{body.device_type!r} is unknown; known: {names}")])
    flaws = _check_bounds(body, settings)
    flaws += check_finite(body.payload, "payload") + check_finite(body.sequence, "sequence")
    flaws += check_count(len(body.jobs), settings, least=0 if body.open else 1)
    if not flaws:
        facts, flaws = read_sequence(body.sequence, kind, settings)
        flaws = flaws or check_jobs(body.jobs, facts, kind, settings)
    if flaws:
        raise Rejected(flaws)


def _check_bounds(body: BatchIn, settings: Settings) -> list[Flaw]:
    flaws: list[Flaw] = []
    if body.lanes > settings.max_lanes:
        flaws.append(Flaw("lanes", f"must be at most {settings.max_lanes}"))
    if (body.idle_timeout_s or 0) > settings.max_idle_timeout_s:
        flaws.append(Flaw("idle_timeout_s", f"must be at most {settings.max_idle_timeout_s:g}"))
    if settings.max_duration_s and (body.max_duration_s or 0) > settings.max_duration_s:
        flaws.append(Flaw("max_duration_s", f"must be at most {settings.max_duration_s:g}"))
    if body.webhook is not None and (flaw := url_flaw(body.webhook, settings.webhook_allow)):
        flaws.append(Flaw("webhook", flaw))
    if body.device is not None and body.lanes > 1:
        flaws.append(Flaw("lanes", "must be 1 when a single device is named"))
    return flaws


def check_count(count: int, settings: Settings, *, least: int) -> list[Flaw]:
    if count < least:
        return [Flaw("jobs", "must have at least one job, unless the batch is made open")]
    if count > settings.max_batch_size:
        return [
            Flaw("jobs", f"has {count} jobs; send at most {settings.max_batch_size} in one call")
        ]
    return []


def read_sequence(
    sequence: str | dict[str, Any] | None,
    kind: DeviceType,
    settings: Settings,
    at: str = "sequence",
) -> tuple[SequenceFacts | None, list[Flaw]]:
    """None where there is nothing to be known of it."""
    if not kind.runs_sequences or sequence is None:
        return None, []
    found = check_sequence(sequence, max_bytes=settings.max_sequence_bytes, at=at)
    if isinstance(found, SequenceFacts):
        return found, check_atoms(found, kind.max_qubits, at)
    return None, list(found)


def facts_of(
    shared: Mapping[str, Any], kind: DeviceType, settings: Settings
) -> SequenceFacts | None:
    """Of a batch that was admitted before."""
    return read_sequence(shared.get("sequence"), kind, settings)[0]


def check_jobs(
    jobs: Sequence[JobIn], shared: SequenceFacts | None, kind: DeviceType, settings: Settings
) -> list[Flaw]:
    """`shared`: of the batch's sequence, which a job's own one takes the place of."""
    if kind.runs_sequences and shared is None and jobs and not any(job.sequence for job in jobs):
        return [Flaw("sequence", f"is missing: {kind.name} runs serialized Pulser sequences")]
    flaws: list[Flaw] = []
    for index, job in enumerate(jobs):
        at, payload = f"jobs[{index}]", payload_of(job)
        own, wrong = read_sequence(job.sequence, kind, settings, f"{at}.sequence")
        flaws += wrong + check_finite(payload, at)
        if not wrong:
            flaws += _check_job(payload, own or shared, kind, settings, at)
    return flaws


def _check_job(
    job: dict[str, Any], facts: SequenceFacts | None, kind: DeviceType, settings: Settings, at: str
) -> list[Flaw]:
    most = kind.max_runs or settings.max_runs
    if facts is not None:
        return check_job(facts, job, max_runs=most, max_qubits=kind.max_qubits, at=at)
    flaws = check_runs(job.get("runs"), most, f"{at}.runs")
    if kind.runs_sequences:
        flaws.append(Flaw(f"{at}.sequence", "is missing: the batch has none for all its jobs"))
    return flaws


def check_finite(value: object, at: str) -> list[Flaw]:
    """A number such as 1e999 is read as infinity, which JSON cannot say."""
    text = to_json(value, inf_nan_mode="constants")
    if b"Infinity" not in text and b"NaN" not in text:
        return []
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return [Flaw(at, "has a number that is too large: use one below 1.8e308")]
    return []


def payload_of(job: JobIn) -> dict[str, Any]:
    """As it is stored: what was not given is left out."""
    given = {
        "runs": job.runs,
        "variables": job.variables,
        "sequence": job.sequence,
        "payload": job.payload,
    }
    return {name: value for name, value in given.items() if value is not None}


def new_jobs(jobs: Sequence[JobIn]) -> list[NewJob]:
    return [NewJob(payload_of(job)) for job in jobs]
