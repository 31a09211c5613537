"""Heartbeat: every job that its controller names, and that is still its own, keeps its lease."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from orchestrator.domain.controller import assignment_in, was_offered
from orchestrator.domain.transitions import JOB_ENDS
from orchestrator.services.core import Core
from orchestrator.services.remote.endings import is_ours
from orchestrator.store import assignments
from orchestrator.store.assignments import Assigned
from orchestrator.store.controllers import ControllerRow
from schemas.controller import RunningItem, Told

Verdict = Literal["ok", "cancel", "lost", "completed"]


def heartbeat(core: Core, row: ControllerRow, items: Sequence[RunningItem]) -> list[Told]:
    """One verdict for each item, in order."""
    named = [assignment_in(item.assignment_id) for item in items]
    with core.transaction() as tx:
        known = assignments.find(tx, row.device_type, [one.job for one in named if one])
        verdicts: list[Verdict] = []
        renewed: dict[int, float | None] = {}
        for one, item in zip(named, items, strict=True):
            found = None if one is None else known.get(one.job)
            same = found is not None and one is not None and one.run == item.epoch == found.run
            verdict = "lost" if found is None or not same else _verdict(found, row.session)
            verdicts.append(verdict)
            if verdict in ("ok", "cancel") and found is not None and found.status == "RUNNING":
                renewed[found.window or 0] = item.progress
        until = tx.at + timedelta(seconds=core.settings.controller_lease_s)
        assignments.renew(tx, renewed, until)
    return [
        Told(assignment_id=item.assignment_id, verdict=verdict)
        for item, verdict in zip(items, verdicts, strict=True)
    ]


def _verdict(found: Assigned, session: int) -> Verdict:
    if found.status in JOB_ENDS:
        return "lost" if is_ours(found.reason) else "completed"
    if found.window is None:
        return "lost"
    if found.unwanted:
        return "cancel"
    return "ok" if found.status == "RUNNING" or was_offered(found.offer, session) else "lost"
