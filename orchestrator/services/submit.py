"""Submit: a batch is accepted as a whole, or refused as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from orchestrator.errors import Flaw, Rejected
from orchestrator.services.admission import check_batch, new_jobs
from orchestrator.services.announce import announce
from orchestrator.services.core import Core
from orchestrator.services.hold import hold
from orchestrator.services.place import place_later
from orchestrator.store import catalog
from orchestrator.store.batches import NewBatch
from orchestrator.store.jobs import NewJob, new_id
from orchestrator.store.transaction import Transaction
from schemas import logs, trace
from schemas.batch import BatchIn


def submit(
    core: Core,
    tx: Transaction,
    project: UUID,
    user: UUID | None,
    body: BatchIn,
    *,
    options: Mapping[str, Any] | None = None,
    key: UUID | None = None,
) -> UUID:
    """The new batch. Once the transaction is committed it will run, whatever happens to us.

    `options` are a door's own words, kept beside the batch and read by that door only; `key` is
    the API key that asks.
    """
    kind = catalog.device_type(tx, body.device_type, project)
    known = [] if kind is not None else catalog.type_names(tx.connection)
    check_batch(body, kind, known, core.settings)
    if body.device is not None and not catalog.has_device(tx, body.device, body.device_type):
        raise Rejected([Flaw("device", f"there is no {body.device!r} of type {body.device_type}")])
    new = replace(_new_batch(core, project, user, body), options=options, key_id=key)
    return accept(core, tx, new, new_jobs(body.jobs))


def accept(core: Core, tx: Transaction, new: NewBatch, jobs: Sequence[NewJob]) -> UUID:
    """What has been found right: from here on it is the engine's."""
    known = {"project": new.project_id, "batch": new.id}
    with (
        logs.about(**known),
        trace.span("submit", **known, device_type=new.device_type, jobs=len(jobs)),
    ):
        core.batches.insert(tx, new, len(jobs))
        ids = core.jobs.insert(tx, new.id, new.project_id, jobs)
        hold(core, tx, new.project_id, new.id, new.device_type, ids)
        announce(core, tx, new.project_id, new.id)
        place_later(core, tx, new.device_type, new.id, new.lanes)
    return new.id


def _new_batch(core: Core, project: UUID, user: UUID | None, body: BatchIn) -> NewBatch:
    shared: dict[str, Any] = dict(body.payload or {})
    if body.sequence is not None:
        shared["sequence"] = body.sequence
    preemptible = not body.open if body.preemptible is None else body.preemptible
    return NewBatch(
        id=new_id(),
        project_id=project,
        user_id=user,
        parent_id=None,
        name=body.name,
        device_type=body.device_type,
        device_name=body.device,
        open=body.open,
        priority=body.priority,
        preemptible=preemptible,
        lanes=body.lanes,
        idle_timeout_s=body.idle_timeout_s or core.settings.idle_timeout_s,
        max_duration_s=body.max_duration_s or core.settings.max_duration_s or None,
        tags=list(dict.fromkeys(body.tags)),
        shared=shared,
        webhook=body.webhook,
    )
