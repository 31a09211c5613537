"""A past for listings: batches of every kind, made and run by the engine, in an order by lot."""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from sqlalchemy import text

from orchestrator.errors import HoldfastError
from orchestrator.services.append import append, retry
from orchestrator.services.cancel import cancel_batch, cancel_job
from orchestrator.services.close import close
from orchestrator.services.core import Core
from orchestrator.services.rebatch import rebatch
from orchestrator.services.revive import revive
from orchestrator.services.submit import submit
from schemas.batch import BatchIn, RebatchIn
from schemas.job import JobFilter, JobIn
from schemas.task import JobTask
from tests.integration.puppet import (
    OTHER_PROJECT,
    PROJECT,
    TYPE,
    Outcome,
    Puppet,
    call,
    done,
    failed,
    skipped,
)

THIRD_PROJECT = UUID(int=3)
USERS = [UUID(int=11), UUID(int=12)]
UNSERVED = "UNSERVED"
_USER = text("""INSERT INTO "user" (id, username, password_hash) VALUES (:id, :name, '')""")


class Past:
    """The lot also asks for what is not possible; that is refused, and changes nothing."""

    def __init__(self, core: Core, seed: int) -> None:
        self.core = core
        self.lot = random.Random(seed)
        self.puppet = Puppet.online(core, "dev-1")
        Puppet.online(core, "dev-2", device_type=UNSERVED)
        with core.transaction() as tx:
            project = {"id": THIRD_PROJECT, "name": "third"}
            tx.connection.execute(text("INSERT INTO project VALUES (:id, :name)"), project)
            for user in USERS:
                tx.connection.execute(_USER, {"id": user, "name": str(user)})

    def lived(self, steps: int) -> "Past":
        often: list[Callable[[], None]] = [self.submit, self.append, self.serve, self.serve]
        seldom = [self.cancel, self.cancel_job, self.rebatch, self.retry, self.close, self.revive]
        for _ in range(steps):
            act = self.lot.choice(often if self.lot.random() < 0.7 else seldom)
            with suppress(HoldfastError, IndexError):
                act()
        self.begin_one()
        return self

    def submit(self) -> None:
        is_open = self.lot.random() < 0.4
        body = BatchIn(
            device_type=self.lot.choice([TYPE, TYPE, UNSERVED]),
            jobs=self._jobs(0 if is_open else 1),
            open=is_open,
            priority=self.lot.choice([-5, 0, 0, 7]),
            tags=self.lot.sample(["red", "blue", "green"], self.lot.randint(0, 2)),
        )
        project = self.lot.choice([PROJECT, PROJECT, THIRD_PROJECT, OTHER_PROJECT])
        call(self.core, submit, project, self.lot.choice([*USERS, None]), body)

    def _jobs(self, least: int) -> list[JobIn]:
        kinds: list[Sequence[int | None]] = [[None], [100], [None, 50], [10, 20, 30], range(1, 300)]
        runs = self.lot.choice(kinds)
        count = self.lot.randint(least, 8)
        return [JobIn(runs=self.lot.choice(runs), payload={"do": "noop"}) for _ in range(count)]

    def append(self) -> None:
        call(self.core, append, *self._batch("open"), self._jobs(1))

    def serve(self) -> None:
        window = self.puppet.take()
        self.puppet.answer(window, *[self._end(task) for task in window.jobs])

    def _end(self, task: JobTask) -> Outcome:
        if not self.puppet.has_permit(task):
            return skipped(task)
        return failed(task) if self.lot.random() < 0.25 else done(task)

    def begin_one(self) -> None:
        """One job is RUNNING from now on."""
        self.puppet.drop_messages()
        project = self._batch()[0]
        body = BatchIn(device_type="HELD", jobs=[JobIn(runs=7, payload={})] * 3)
        device = Puppet.online(self.core, "dev-3", device_type="HELD")
        call(self.core, submit, project, USERS[0], body)
        window = device.take()
        device.begin(window, window.jobs[0])

    def cancel(self) -> None:
        call(self.core, cancel_batch, *self._batch(), interrupt=False)

    def cancel_job(self) -> None:
        call(self.core, cancel_job, *self._job(), interrupt=False)

    def rebatch(self) -> None:
        body = RebatchIn(filter=JobFilter(min_runs=self.lot.choice([None, 20])))
        project, batch = self._batch()
        call(self.core, rebatch, project, self.lot.choice(USERS), batch, body)

    def retry(self) -> None:
        call(self.core, retry, *self._job())

    def close(self) -> None:
        call(self.core, close, *self._batch("open"))

    def revive(self) -> None:
        call(self.core, revive, *self._batch())

    def _batch(self, where: str = "true") -> tuple[UUID, UUID]:
        rows = self.rows(f"SELECT project_id, id FROM batch WHERE {where} ORDER BY seq")
        row = self.lot.choice(rows)
        return row["project_id"], row["id"]

    def _job(self) -> tuple[UUID, UUID]:
        rows = self.rows("SELECT project_id, id FROM job ORDER BY id")
        row = self.lot.choice(rows)
        return row["project_id"], row["id"]

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self.core.transaction() as tx:
            return [dict(row._mapping) for row in tx.connection.execute(text(query))]

    def jobs(self) -> list[dict[str, Any]]:
        """Every job there is, oldest first."""
        return self.rows(
            "SELECT job.*, batch.user_id FROM job JOIN batch ON batch.id = batch_id"
            " ORDER BY job.created_at, batch_id, ordinal"
        )

    def batches(self) -> list[dict[str, Any]]:
        """Every batch there is, oldest first."""
        return self.rows("SELECT * FROM batch ORDER BY created_at, seq")
