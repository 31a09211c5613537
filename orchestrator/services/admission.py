"""What a batch must be to be admitted. Everything wrong with it is said at once."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from orchestrator.config import Settings
from orchestrator.domain.sequence import SequenceFacts, check_job, check_sequence
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
        facts, more = _read_sequence(body.sequence, kind, settings)
        flaws = more or check_jobs(body.jobs, facts, kind, settings)
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
    if body.device is not None and body.lanes > 1:
        flaws.append(Flaw("lanes", "must be 1 when a single device is named"))
    return flaws


def check_count(count: int, settings: Settings, *, least: int) -> list[Flaw]:
    if count < least:
        return [Flaw("jobs", "must have at least one job; or set open to add jobs later")]
    if count > settings.max_batch_size:
        return [
            Flaw("jobs", f"has {count} jobs; send at most {settings.max_batch_size} in one call")
        ]
    return []


def _read_sequence(
    sequence: str | dict[str, Any] | None, kind: DeviceType, settings: Settings
) -> tuple[SequenceFacts | None, list[Flaw]]:
    if kind.executor != "pulser":
        return None, []
    if sequence is None:
        return None, [Flaw("sequence", f"is missing: {kind.name} runs serialized Pulser sequences")]
    found = check_sequence(sequence, max_bytes=settings.max_sequence_bytes)
    return (found, []) if isinstance(found, SequenceFacts) else (None, list(found))


def facts_of(
    shared: Mapping[str, Any], kind: DeviceType, settings: Settings
) -> SequenceFacts | None:
    """Of a batch that was admitted before."""
    return _read_sequence(shared.get("sequence"), kind, settings)[0]


def check_jobs(
    jobs: Sequence[JobIn], facts: SequenceFacts | None, kind: DeviceType, settings: Settings
) -> list[Flaw]:
    most = kind.max_runs or settings.max_runs
    flaws: list[Flaw] = []
    for index, job in enumerate(jobs):
        at = f"jobs[{index}]"
        flaws += check_finite(payload_of(job), at)
        if facts is not None:
            flaws += check_job(facts, payload_of(job), max_runs=most, at=at)
        elif job.runs is not None and job.runs > most:
            flaws.append(Flaw(f"{at}.runs", f"must be at most {most}"))
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
    given = {"runs": job.runs, "variables": job.variables, "payload": job.payload}
    return {name: value for name, value in given.items() if value is not None}


def new_jobs(jobs: Sequence[JobIn]) -> list[NewJob]:
    return [NewJob(payload_of(job)) for job in jobs]
