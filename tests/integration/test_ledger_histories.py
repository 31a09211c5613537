"""Histories by lot, from several threads at once: afterwards every credit is accounted for."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import text

from orchestrator.errors import HoldfastError
from orchestrator.services.append import append
from orchestrator.services.cancel import cancel_batch, cancel_job
from orchestrator.services.core import Core
from orchestrator.services.rebatch import rebatch
from orchestrator.services.revive import revive
from orchestrator.services.submit import submit
from schemas.batch import BatchIn, RebatchIn
from schemas.task import JobTask, Settle
from tests.integration.money import HOUR, balances, grant, priced, wrong
from tests.integration.puppet import (
    OTHER_PROJECT,
    PROJECT,
    TYPE,
    Outcome,
    Puppet,
    call,
    done,
    failed,
    job_bodies,
    lost,
    skipped,
)

FREE = "FREE"


class Customer:
    """One of several that spend the same credits; what is refused changes nothing."""

    def __init__(self, core: Core, seed: int) -> None:
        self.core, self.lot = core, random.Random(seed)
        self.puppet = Puppet.online(core, f"dev-{seed}")
        self.told: list[Settle] = []

    def live(self, steps: int) -> None:
        acts: list[Callable[[], object]] = [self.submit, self.serve, self.serve, self.change]
        for _ in range(steps):
            with suppress(HoldfastError, IndexError):
                self.lot.choice(acts)()

    def submit(self) -> None:
        kind = self.lot.choice([TYPE, TYPE, FREE])
        jobs = job_bodies(self.lot.randint(1, 5))
        body = BatchIn(device_type=kind, jobs=jobs, open=self.lot.random() < 0.5)
        call(self.core, submit, self.lot.choice([PROJECT, OTHER_PROJECT]), None, body)

    def serve(self) -> None:
        """Sometimes an end is told again, much later."""
        window = self.puppet.take()
        kinds: list[Callable[[JobTask], Outcome]] = [done, done, failed, lost]
        ends = [self.lot.choice(kinds)(task) for task in window.jobs]
        outcomes = [
            end if self.puppet.has_permit(task) else skipped(task)
            for task, end in zip(window.jobs, ends, strict=True)
        ]
        self.puppet.answer(window, *outcomes)
        again = self.lot.choice([window, *self.puppet.inbox])
        self.puppet.answer(again, *outcomes)

    def change(self) -> None:
        with self.core.transaction() as tx:
            found = tx.connection.execute(
                text(
                    "SELECT job.id, batch_id, batch.project_id FROM job JOIN batch"
                    " ON batch.id = batch_id ORDER BY random() LIMIT 1"
                )
            ).first()
        if found is None:
            return
        project, batch, job = found.project_id, found.batch_id, found.id
        changes: list[tuple[Callable[..., object], tuple[object, ...], dict[str, object]]] = [
            (append, (batch, job_bodies(2)), {}),
            (cancel_batch, (batch,), {"interrupt": False}),
            (cancel_job, (job,), {"interrupt": True}),
            (revive, (batch,), {}),
            (rebatch, (None, batch, RebatchIn()), {}),
        ]
        verb, args, options = self.lot.choice(changes)
        call(self.core, verb, project, *args, **options)


def end(core: Core) -> None:
    """Nothing is alive any more."""
    with core.transaction() as tx:
        alive = tx.connection.execute(
            text("SELECT DISTINCT batch_id, project_id FROM job WHERE ended_at IS NULL")
        ).all()
    for row in alive:
        with suppress(HoldfastError):
            call(core, cancel_batch, row.project_id, row.batch_id, interrupt=True)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_credit_is_accounted_for(core: Core, seed: int) -> None:
    priced(core, rate=3, cores=2)
    for project in (PROJECT, OTHER_PROJECT):
        grant(core, 30 * 6 * HOUR, project)
    Puppet.online(core, "free", device_type=FREE)
    customers = [Customer(core, 10 * seed + n) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(customer.live, 60) for customer in customers]:
            each.result()
    assert wrong(core) == []
    end(core)
    assert wrong(core) == []
    for project in (PROJECT, OTHER_PROJECT):
        assert sum(balances(core, project)) == 30 * 6 * HOUR
    assert spent(core) > 0


def spent(core: Core) -> int:
    return sum(balances(core, project)[2] for project in (PROJECT, OTHER_PROJECT))
