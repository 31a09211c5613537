"""`verify` is green on everything that the engine itself does."""

from pathlib import Path

import pytest

from orchestrator.proof.verify import verify
from orchestrator.services.cancel import cancel_batch, cancel_job
from orchestrator.services.core import Core
from orchestrator.services.revive import revive
from schemas.task import Lost
from tests.integration.past import Past
from tests.integration.proven import NO_PATIENCE
from tests.integration.puppet import PROJECT, call, jobs_of, new_batch
from tests.integration.witnessed import Witnessed, shipper_of
from workers.journal import Journal


def turns(*devices: Witnessed) -> None:
    """Each a window at a time, until none has anything left."""
    while any(each.puppet.inbox for each in devices):
        for each in devices:
            if each.puppet.inbox:
                window = each.puppet.take()
                each.puppet.answer(window, *[each.run(window, task) for task in window.jobs])


def check(core: Core, *devices: Witnessed, runs: int) -> None:
    for each in devices:
        each.shipper.ship()
        each.journal.close()
    given = core.settings
    report = verify(given.database_url, given.store_url, s3=given.s3, patience=NO_PATIENCE)
    assert (report.violations, report.warnings) == ([], [])
    assert report.counts["runs"] == runs


@pytest.mark.parametrize("seed", [1, 2])
def test_a_past_by_lot_is_clean(core: Core, seed: int) -> None:
    Past(core, seed).lived(200)
    given = core.settings
    report = verify(given.database_url, given.store_url, s3=given.s3)
    assert report.violations == []
    assert report.counts["jobs"] > 50


def test_a_batch_on_two_lanes_is_clean(core: Core, tmp_path: Path) -> None:
    devices = [Witnessed.online(core, name, tmp_path / "journals") for name in ("a", "b")]
    new_batch(core, 6, lanes=2)
    new_batch(core, 4)
    turns(*devices)
    check(core, *devices, runs=10)


def test_a_run_that_was_lost_and_its_next_are_clean(core: Core, tmp_path: Path) -> None:
    device = Witnessed.online(core, "dev-1", tmp_path / "journals")
    new_batch(core, 3)
    window = device.puppet.take()
    task = window.jobs[0]
    assert device.puppet.has_permit(task)
    device.begin(window, task)
    device.journal.close()
    again = Journal(device.journal.folder, device="dev-1")
    again.opened()
    device.puppet.drop_messages()
    puppet = device.puppet.restarted(Lost(job=task.job, run=task.run))
    restarted = Witnessed(puppet, again, shipper_of(core, again, "dev-1"))
    turns(restarted)
    check(core, restarted, runs=4)


def test_a_revived_batch_whose_earlier_job_begins_later_is_clean(
    core: Core, tmp_path: Path
) -> None:
    device = Witnessed.online(core, "dev-1", tmp_path / "journals")
    other = new_batch(core, 1)
    batch = new_batch(core, 4)
    with core.transaction() as tx:
        first = tx.connection.exec_driver_sql(
            "SELECT id FROM job WHERE ordinal = 1 AND batch_id = %s", (batch,)
        ).scalar_one()
    call(core, cancel_job, PROJECT, first, interrupt=False)
    for _ in range(3):
        window = device.puppet.take()
        device.puppet.answer(window, *[device.run(window, task) for task in window.jobs])
    call(core, cancel_batch, PROJECT, batch, interrupt=False)
    turns(device)
    call(core, revive, PROJECT, batch)
    turns(device)
    assert jobs_of(core, batch) == ["DONE"] * 4
    assert jobs_of(core, other) == ["DONE"]
    check(core, device, runs=5)
