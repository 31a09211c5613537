"""Estimate: when a batch is expected to begin and to end, and why it waits. Reads only."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from orchestrator.domain import why
from orchestrator.domain.estimate import Expected, Times
from orchestrator.domain.transitions import BATCH_ENDS, SEATED
from orchestrator.domain.why import PoolDevice, Wait
from orchestrator.services.outlook import Outlook, outlook, samples
from orchestrator.store.entries import SHARED
from orchestrator.store.estimates import Program, Queued, SeatRow
from orchestrator.store.listings import get_batch
from orchestrator.store.listings_reading import Reader
from orchestrator.store.predictions import hit_rate
from schemas.batch import Batch
from schemas.estimate import Estimate, HitRate, Quantiles, Reason, Why
from schemas.words import BatchStatus


class Next(NamedTuple):
    """One of the queue. `batch_id`: None where it is another project's; `device`: the only one
    that it may have. `start` and `end`: None where nothing can be said."""

    batch_id: UUID | None
    device: str | None
    start: Quantiles | None
    end: Quantiles | None


def next_up(connection: Reader, project: UUID, device_type: str, *, most: int = 5) -> list[Next]:
    """The first of the queue of a device type, in its order."""
    view = outlook(connection, device_type, device_type, head=most)
    return [
        Next(
            row.id if row.project_id == project else None,
            row.device,
            *_moments(view, view.expected.get(row.id)),
        )
        for row in view.line
    ]


def estimate(connection: Reader, project: UUID, batch_id: UUID) -> Estimate:
    """Nothing of other projects is in it but how many of their batches are ahead."""
    batch = get_batch(connection, project, batch_id)
    rate = hit_rate(connection, batch.device_type)
    view = outlook(connection, batch.device_type, str(batch_id), also=[batch_id])
    row = next((row for row in view.line if row.id == batch_id), None)
    start, end = _times(batch, view, view.expected.get(batch_id))
    found = _why(batch, project, view, row)
    return Estimate(
        batch_id=batch_id,
        status=batch.status,
        at=view.pool.now,
        start=start,
        end=end,
        samples=_samples(batch, view, row),
        hit_rate=rate and HitRate(**rate._asdict()),
        why=found,
    )


def _times(
    batch: Batch, view: Outlook, found: Expected | None
) -> tuple[Quantiles | None, Quantiles | None]:
    if batch.status == BatchStatus.PENDING:
        return _moments(view, found)
    if batch.status not in SEATED | BATCH_ENDS:
        return None, None
    began = batch.started_at or batch.admitted_at
    ended = _at(batch.ended_at)
    if batch.status in SEATED and not _away(batch, view):
        ended = _moments(view, found)[1]
    return _at(began), ended


def _away(batch: Batch, view: Outlook) -> list[str]:
    """Devices that hold it and are not heard of: nobody knows when they will be."""
    return [s.device for s in view.pool.seats if not s.online and s.device in batch.devices]


def _at(moment: datetime | None) -> Quantiles | None:
    return None if moment is None else Quantiles(p50=moment, p90=moment)


def _moments(view: Outlook, found: Expected | None) -> tuple[Quantiles | None, Quantiles | None]:
    if found is None:
        return None, None
    return _moment(view.pool.now, found.start), _moment(view.pool.now, found.end)


def _moment(now: datetime, times: Times) -> Quantiles:
    p50, p90 = (now + timedelta(seconds=each) for each in times)
    return Quantiles(p50=p50, p90=p90)


def _samples(batch: Batch, view: Outlook, row: Queued | None) -> int:
    program: Program | None = row.program if row else None
    for seat in view.pool.seats:
        if seat.held is not None and seat.held.id == batch.id:
            program = seat.held.program
    return samples(program, view.paces) if program else 0


def _why(batch: Batch, project: UUID, view: Outlook, row: Queued | None) -> Why:
    pool = [*_pool(batch, project, view.pool.seats)]
    if batch.status != BatchStatus.PENDING:
        return _of_status(batch, view, pool)
    wait = Wait(
        device_type=batch.device_type,
        pinned=batch.device,
        lanes=batch.lanes,
        ahead=row.place - 1 if row else None,
        higher_priority=(row.higher or 0) if row else 0,
        learned=view.learned,
        is_twin=batch.device_type == SHARED,
    )
    found = why.reasons(wait, pool)
    return _told(batch.reason or why.sentence(found, pool) or "its turn has come", found)


def _of_status(batch: Batch, view: Outlook, pool: list[PoolDevice]) -> Why:
    """Of one that does not wait in the queue."""
    if batch.status in BATCH_ENDS:
        ended = {"code": "ended", "status": batch.status}
        return _told(batch.reason or f"it is over: {batch.status}", [ended])
    found: list[why.Reason] = [
        {"code": "seated", "devices": batch.devices}
        if batch.status in SEATED
        else {"code": batch.status.lower()}
    ]
    if batch.status == BatchStatus.PAUSED:
        found += [each for each in why.of_devices(pool) if each["code"] == "device_paused"]
    if batch.status in SEATED:
        found += [{"code": "device_offline", "device": name} for name in _away(batch, view)]
        if not view.learned:
            found.append({"code": "not_learned", "device_type": batch.device_type})
    where = f"it has {', '.join(batch.devices)}" if batch.devices else f"it is {batch.status}"
    return _told(batch.reason or where, found)


def _told(sentence: str, found: list[why.Reason]) -> Why:
    return Why(sentence=sentence, reasons=[Reason(**each) for each in found])


def _pool(batch: Batch, project: UUID, seats: list[SeatRow]) -> Iterator[PoolDevice]:
    """Those that the batch may have."""
    for seat in seats:
        if batch.device not in (None, seat.device):
            continue
        held = seat.held
        yield PoolDevice(
            name=seat.device,
            service=seat.service,
            reason=seat.reason,
            online=seat.online,
            busy=held is not None,
            held_open=held is not None and held.open,
            idle_deadline=held.idle_deadline if held and held.project_id == project else None,
        )
