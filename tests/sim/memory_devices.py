"""Devices and windows in memory."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from orchestrator.store.devices import DeviceRow
from orchestrator.store.transaction import Transaction
from orchestrator.store.windows import InFlight, Staged, StagedJob
from tests.sim.memory import PENDING, Job, named, rows_of

NOTHING: dict[str, Any] = {}


class Devices:
    def lock(self, tx: Transaction, device: int) -> DeviceRow | None:
        return rows_of(tx).devices.get(device)

    def lock_by_name(self, tx: Transaction, name: str) -> DeviceRow | None:
        return next((row for row in rows_of(tx).devices.values() if row.name == name), None)

    def lock_with_window(
        self, tx: Transaction, name: str, window: int | None
    ) -> tuple[DeviceRow | None, str | None]:
        device = self.lock_by_name(tx, name)
        known = () if device is None else rows_of(tx).of_device.get(device.id, ())
        return device, rows_of(tx).windows[window].journal if window in known else None

    def take_seat(self, tx: Transaction, device: int, batch: UUID) -> int:
        fence = rows_of(tx).devices[device].fence + 1
        _set(tx, device, seat=batch, fence=fence, yielding=False, window_size=1)
        return fence

    def leave_seat(self, tx: Transaction, device: int) -> None:
        if rows_of(tx).devices[device].seat is not None:
            _set(tx, device, seat=None, yielding=False)

    def holders(self, tx: Transaction, batch: UUID) -> list[int]:
        return rows_of(tx).holders(batch)

    def vacant(self, tx: Transaction, device_type: str) -> list[int]:
        return [
            row.id
            for row in rows_of(tx).devices.values()
            if row.type == device_type
            and row.seat is None
            and row.online
            and row.service == "active"
        ]

    def any_yielding(self, tx: Transaction, device_type: str) -> bool:
        of_type = (row for row in rows_of(tx).devices.values() if row.type == device_type)
        return any(row.yielding and row.online for row in of_type)

    def set_window_size(self, tx: Transaction, device: int, size: int) -> None:
        _set(tx, device, window_size=size)

    def set_yielding(self, tx: Transaction, device: int, yielding: bool) -> None:
        _set(tx, device, yielding=yielding)

    def set_service(self, tx: Transaction, device: int, service: str, reason: str | None) -> None:
        _set(tx, device, service=service, service_reason=reason)

    def register(self, tx: Transaction, name: str, device_type: str, executor: str) -> None:
        rows = rows_of(tx).devices
        if any(row.name == name for row in rows.values()):
            return
        new = DeviceRow(
            id=len(rows) + 1,
            name=name,
            type=device_type,
            service="active",
            service_reason=None,
            online=False,
            session=None,
            journal=None,
            heard_at=None,
            seat=None,
            fence=0,
            yielding=False,
            window_size=1,
            on_lost=rows_of(tx).on_lost,
        )
        rows_of(tx).put(rows, new.id, new)

    def take_session(
        self,
        tx: Transaction,
        device: int,
        *,
        session: str,
        journal: str,
        host: str | None,
        versions: Mapping[str, str] | None,
    ) -> None:
        _set(tx, device, online=True, session=session, journal=journal, heard_at=tx.at)

    def set_offline(self, tx: Transaction, device: int) -> None:
        _set(tx, device, online=False)

    def pool_size(self, tx: Transaction, device_type: str) -> int:
        rows = rows_of(tx).devices.values()
        return sum(row.type == device_type and row.service != "retired" for row in rows)

    def log(
        self,
        tx: Transaction,
        device: int,
        kind: str,
        *,
        status: str | None = None,
        batch: UUID | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        rows_of(tx).log(tx.at, kind, status, batch=batch, device=device, detail=detail)

    def heard(self, tx: Transaction, ages_s: Mapping[int, float], *, lag: timedelta) -> None:
        rows = rows_of(tx).devices
        for device, age_s in ages_s.items():
            row, heard = rows[device], tx.at - timedelta(seconds=age_s)
            if row.online and row.heard_at is not None and row.heard_at < heard - lag:
                _set(tx, device, heard_at=heard)


def _set(tx: Transaction, device: int, **changed: Any) -> None:
    rows = rows_of(tx).devices
    rows_of(tx).put(rows, device, rows[device]._replace(**changed))


class Windows:
    def stage(self, tx: Transaction, device: DeviceRow, batch: UUID, size: int) -> Staged | None:
        rows = rows_of(tx)
        chosen = rows.waiting(batch)[:size]
        if not chosen:
            return None
        # As Postgres does: a number that was drawn is not drawn again after a rollback.
        rows.last_window += 1
        window = InFlight(
            rows.last_window,
            batch,
            device.fence,
            device.session or "",
            device.journal or "",
            tx.at,
            tx.at,
        )
        rows.put(rows.windows, window.id, window)
        known = rows.of_device.get(device.id, ())
        rows.put(rows.of_device, device.id, (*known, window.id))
        staged = [
            job._replace(run=job.run + 1, window_id=window.id, device_id=device.id)
            for job in chosen
        ]
        for job in staged:
            rows.put(rows.jobs, job.id, job)
        return Staged(window.id, cast(Any, tuple(staged)))

    def shared_payload(self, tx: Transaction, batch: UUID) -> dict[str, Any]:
        return NOTHING

    def in_flight(self, tx: Transaction, device: int) -> list[InFlight]:
        rows = rows_of(tx)
        known = rows.of_device.get(device, ())
        live = tuple(window for window in known if rows.staged(window))
        if len(live) != len(known):
            for window in set(known) - set(live):
                rows.drop(rows.windows, window)
            rows.put(rows.of_device, device, live)
        return [rows.windows[window] for window in live]

    def jobs_of(self, tx: Transaction, windows: Sequence[int]) -> list[StagedJob]:
        rows = rows_of(tx)
        return [_staged(job) for window in sorted(windows) for job in rows.staged(window)]

    def staged_jobs(self, tx: Transaction, jobs: Sequence[str]) -> list[StagedJob]:
        return [_staged(job) for job in named(rows_of(tx), jobs) if job.window_id is not None]

    def unstage(self, tx: Transaction, jobs: Sequence[str]) -> None:
        rows = rows_of(tx)
        for job in named(rows, jobs):
            if job.status == PENDING and job.window_id is not None:
                rows.put(rows.jobs, job.id, job._replace(window_id=None))

    def mark_sent(self, tx: Transaction, window: int, session: str) -> None:
        rows = rows_of(tx).windows
        rows_of(tx).put(rows, window, rows[window]._replace(sent_at=tx.at, session=session))

    def content(self, tx: Transaction, window: int) -> Staged:
        return Staged(window, cast(Any, tuple(rows_of(tx).staged(window))))

    def interrupt(self, tx: Transaction, windows: Collection[int]) -> None:
        rows = rows_of(tx).windows
        for window in windows:
            rows_of(tx).put(rows, window, rows[window]._replace(interrupted=True))

    def interrupted(self, tx: Transaction, windows: Collection[int]) -> set[int]:
        rows = rows_of(tx).windows
        return {window for window in windows if window in rows and rows[window].interrupted}


def _staged(job: Job) -> StagedJob:
    window = cast(int, job.window_id)
    return StagedJob(
        job.id, job.batch_id, job.run, job.ordinal, job.status, job.cancel_requested, window
    )
