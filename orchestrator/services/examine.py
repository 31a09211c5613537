"""Examine: what only Pulser can say of a batch or of new jobs, before they are submitted.

Outside any transaction: the first question takes seconds, and a lock held meanwhile would stand in
everybody's way. It changes nothing, so that a call which is told again need not be examined again.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from orchestrator.errors import Rejected
from orchestrator.physics.question import JobQuestion, Question
from orchestrator.services.admission import check_batch, check_jobs, facts_of
from orchestrator.services.core import Core
from orchestrator.store import catalog, windows
from orchestrator.store.catalog import DeviceType
from schemas.batch import BatchIn
from schemas.job import JobIn


def is_due(jobs: Sequence[JobIn], sequence: object = None) -> bool:
    """Whether there is anything to ask: most batches of most devices have nothing of Pulser."""
    return sequence is not None or any(job.variables or job.sequence for job in jobs)


def examine(core: Core, body: BatchIn) -> None:
    """Raises Rejected with every flaw."""
    if not is_due(body.jobs, body.sequence):
        return
    with core.transaction() as tx:
        kind = catalog.device_type(tx, body.device_type)
    if kind is None or not kind.runs_sequences:
        return
    check_batch(body, kind, [], core.settings)
    question = _question(kind, body.sequence, body.jobs)
    config = _config_in(body.payload)
    if config is not None:
        question["config"] = config
    _ask(core, question)


def examine_jobs(core: Core, project: UUID, batch: UUID, jobs: Sequence[JobIn]) -> None:
    """For jobs that are appended. Those without variables and sequence run what was examined with
    their batch.

    Variables are examined, too, for the answer must not depend on chance: the checker stays warm
    for longer than the batch may be idle, and still knows the sequence.
    """
    if not is_due(jobs):
        return
    with core.transaction() as tx:
        kind = catalog.type_of_batch(tx, project, batch)
        if kind is None or not kind.runs_sequences:
            return
        shared = windows.shared_payload(tx, batch)
    if flaws := check_jobs(jobs, facts_of(shared, kind, core.settings), kind, core.settings):
        raise Rejected(flaws)
    _ask(core, _question(kind, shared.get("sequence"), jobs))


def _ask(core: Core, question: Question) -> None:
    if flaws := core.physics.check(question):
        raise Rejected(flaws)


def _question(kind: DeviceType, sequence: Any, jobs: Sequence[JobIn]) -> Question:
    return {
        "device_type": kind.name,
        "spec": kind.spec,
        "sequence": None if sequence is None else _text(sequence),
        "jobs": [
            _job_question(index, job)
            for index, job in enumerate(jobs)
            if job.variables or job.sequence
        ],
    }


def _job_question(index: int, job: JobIn) -> JobQuestion:
    asked: JobQuestion = {"at": f"jobs[{index}]", "variables": job.variables or {}}
    if job.sequence is not None:
        asked["sequence"] = _text(job.sequence)
    return asked


def _config_in(payload: Mapping[str, Any] | None) -> str | None:
    """Under the names that the executors look for it."""
    given = payload or {}
    config = given.get("backend_configuration") or given.get("config")
    return None if config is None else _text(config)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
