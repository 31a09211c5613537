"""Guards that only show when two do something at once: each is taken away in its turn, and what it
keeps whole must break."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from orchestrator.config import Settings
from orchestrator.proof.verify import verify
from orchestrator.services import advance as advancing
from orchestrator.services.advance import advance
from orchestrator.services.cancel import cancel_jobs
from orchestrator.services.core import Core
from orchestrator.services.device import pause, resume
from orchestrator.services.settle import settle
from orchestrator.store import batches, devices, submissions
from orchestrator.store.transaction import Transaction
from schemas.job import JobFilter
from schemas.task import Settle
from tests.integration.api_stack import batch_body, serving
from tests.integration.overtaking import Sql, overtaken, waiting
from tests.integration.own_database import own_database
from tests.integration.puppet import (
    PROJECT,
    Puppet,
    call,
    empty_database,
    new_batch,
)
from tests.sim.guards import without
from tests.waiting import until

with_and_without = pytest.mark.parametrize("guarded", [True, False], ids=["with", "without"])


def guard(guarded: bool, *change: Any) -> Any:
    return nullcontext() if guarded else without(*change)


def device_of(sql: Sql, name: str) -> int:
    row = sql.execute("SELECT id FROM device WHERE name = %s", [name]).fetchone()
    assert row is not None
    return int(row[0])


def seats(sql: Sql) -> list[tuple[str, UUID]]:
    return sql.execute(
        "SELECT name, seat FROM device WHERE seat IS NOT NULL ORDER BY id"
    ).fetchall()


def seated(sql: Sql) -> list[UUID]:
    found = sql.execute("SELECT id FROM batch WHERE status IN ('ADMITTED', 'RUNNING')").fetchall()
    return [row[0] for row in found]


def back_in_service(sql: Sql) -> None:
    """Without anybody having noticed yet."""
    sql.execute("UPDATE device SET service = 'active'")


@with_and_without
def test_two_that_fill_one_seat_at_once_need_its_lock(
    core: Core, puppet: Puppet, sql: Sql, guarded: bool
) -> None:
    call(core, pause, "dev-1", "for a moment")
    new_batch(core), new_batch(core)
    back_in_service(sql)
    device = device_of(sql, "dev-1")
    with guard(
        guarded, devices, "WHERE device.id = :id FOR UPDATE OF device", "WHERE device.id = :id"
    ):
        overtaken(
            core,
            sql,
            ("devices", "lock"),
            slow=lambda core: advance(core, device),
            fast=lambda: advance(core, device),
        )
    assert len(seats(sql)) == 1
    assert len(seated(sql)) == (1 if guarded else 2)


@with_and_without
def test_a_message_that_comes_twice_at_once_needs_the_lock_of_its_device(
    core: Core, puppet: Puppet, sql: Sql, guarded: bool
) -> None:
    new_batch(core)
    new_batch(core, 0, open=True)
    new_batch(core)
    window = puppet.take()
    message = Settle(
        window=window.window,
        device="dev-1",
        session=puppet.session,
        journal=puppet.journal,
        outcomes=[puppet.run(window.jobs[0])],
    )
    locked = "WHERE device.name = :name FOR UPDATE OF device"
    with guard(guarded, devices, locked, "WHERE device.name = :name"):
        overtaken(
            core,
            sql,
            ("devices", "lock_with_window"),
            slow=lambda core: settle(core, message),
            fast=lambda: settle(core, message),
        )
    assert len(seated(sql)) == (1 if guarded else 2)


@with_and_without
def test_two_devices_that_look_for_a_batch_at_once_need_its_lock(
    core: Core, puppet: Puppet, sql: Sql, guarded: bool
) -> None:
    Puppet.online(core, "dev-2")
    call(core, pause, "dev-1", "for a moment")
    call(core, pause, "dev-2", "for a moment")
    new_batch(core, 5)
    back_in_service(sql)
    one, two = device_of(sql, "dev-1"), device_of(sql, "dev-2")
    locked = "LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED\n    ), laned"
    with guard(guarded, batches, locked, "LIMIT 1\n    ), laned"):
        overtaken(
            core,
            sql,
            ("batches", "next_for"),
            slow=lambda core: advance(core, one),
            fast=lambda: advance(core, two),
        )
    assert len(seats(sql)) == (1 if guarded else 2)


class Held:
    """`batches`, but whoever looks for a batch that wants a lane has counted them, and then waits
    for the advisory lock 7 before the row is locked."""

    counted = "lanes > (SELECT count(*) FROM device WHERE device.seat = batch.id)"
    statement = text(
        str(batches._NEXT).replace(
            counted, f"CASE WHEN {counted} THEN (SELECT true FROM pg_advisory_xact_lock(7)) END"
        )
    )

    def __getattr__(self, name: str) -> Any:
        return getattr(batches, name)

    def next_for(self, tx: Transaction, device_type: str, device: str) -> batches.BatchRow | None:
        row = tx.connection.execute(
            self.statement, {"type": device_type, "name": device}
        ).one_or_none()
        return None if row is None else batches.BatchRow(*row)


@with_and_without
def test_devices_that_race_for_the_last_lane_count_again(
    core: Core, puppet: Puppet, sql: Sql, guarded: bool
) -> None:
    for name in ("dev-2", "dev-3"):
        Puppet.online(core, name)
        call(core, pause, name, "for a moment")
    batch = new_batch(core, 20, lanes=2)
    back_in_service(sql)
    recounted = "seated and len(core.devices.holders(tx, batch.id)) >= batch.lanes"
    sql.execute("SELECT pg_advisory_lock(7)")
    with guard(guarded, advancing, recounted, "False"), ThreadPoolExecutor(1) as pool:
        third = pool.submit(advance, replace(core, batches=Held()), device_of(sql, "dev-3"))
        until(lambda: waiting(sql))
        advance(core, device_of(sql, "dev-2"))
        sql.execute("SELECT pg_advisory_unlock(7)")
        third.result()
    assert [seat for _, seat in seats(sql)] == [batch] * (2 if guarded else 3)


@with_and_without
def test_a_job_that_is_staged_while_it_is_canceled_needs_the_lock_of_its_batch(
    core: Core, puppet: Puppet, sql: Sql, guarded: bool
) -> None:
    call(core, pause, "dev-1", "for a moment")
    batch = new_batch(core)
    chosen = JobFilter()
    unlocked = "FROM batch WHERE id = :id FOR NO KEY UPDATE"
    with guard(guarded, batches, unlocked, "FROM batch WHERE id = :id"):
        verdicts = overtaken(
            core,
            sql,
            ("jobs", "filtered"),
            slow=lambda core: call(core, cancel_jobs, PROJECT, batch, chosen, interrupt=False),
            fast=lambda: call(core, resume, "dev-1"),
        )
    assert [verdict for _, verdict in verdicts] == ["canceled"]
    begins = [task for w in puppet.inbox for task in w.jobs if puppet.has_permit(task)]
    assert len(begins) == (0 if guarded else 1)


@with_and_without
def test_a_call_that_is_made_twice_at_once_needs_its_key_to_be_unique(
    settings: Settings, sql: Sql, guarded: bool
) -> None:
    claim = "ON CONFLICT (project_id, key) DO NOTHING RETURNING id"
    with (
        own_database(settings, sql) as (core, own),
        guard(guarded, submissions, claim, "RETURNING id"),
    ):
        if not guarded:
            own.execute("ALTER TABLE submission DROP CONSTRAINT submission_project_id_key_key")
        empty_database(core)
        Puppet.online(core, "dev-1")
        with serving(core) as api, ThreadPoolExecutor(2) as pool:

            def post(_: int) -> Any:
                return api.post("/v1/batches", batch_body(), headers={"Idempotency-Key": "k"})

            with own.transaction():
                # Both have looked for the key by then, and not found it.
                own.execute("LOCK TABLE submission IN SHARE MODE")
                answers = pool.map(post, range(2))
                until(lambda: waiting(sql) == 2)
            made = {answer["id"] for answer in answers}
        given = core.settings
        found = verify(given.database_url, given.store_url, s3=given.s3).violations
    assert len(made) == (1 if guarded else 2)
    assert ("a key is one call" in {each.what for each in found}) is not guarded
