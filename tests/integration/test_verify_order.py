"""`verify` and the order in which jobs begin: of each job it is its first beginning that counts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.services.core import Core
from schemas.task import JobTask
from schemas.witness import Entry, Opened
from tests.integration.proven import Proven, named, rows
from tests.integration.puppet import Outcome, lost, new_batch
from tests.integration.test_verify_cancel import CANCELED
from tests.integration.test_verify_clean import check, turns
from tests.integration.test_verify_witness import began, finished, instead
from tests.integration.witnessed import Witnessed

ORDER = (3, "jobs begin in order")


@pytest.fixture
def past(core: Core, tmp_path: Path) -> Iterator[Proven]:
    made = Proven.lived(core, tmp_path / "journals")
    yield made
    made.device.journal.close()


def test_jobs_that_began_out_of_order_are_found(past: Proven) -> None:
    first, second, _ = past.jobs(past.done[0])

    def swapped(all: list[Entry]) -> list[Entry]:
        names = {first: second, second: first}
        return [
            e if isinstance(e, Opened) else e._replace(job=names.get(e.job, e.job)) for e in all
        ]

    past.forge(swapped)
    found = past.verify().violations
    assert ORDER in named(found)
    assert rows(found, ORDER[1])[0]["batch"] == str(past.done[0])


def test_a_job_that_first_began_too_early_is_found_though_it_ran_again_in_its_turn(
    past: Proven,
) -> None:
    first, second, _ = past.jobs(past.done[0])

    def too_early(all: list[Entry]) -> list[Entry]:
        start, end = began(all, second), finished(all, second)
        again = instead(all, start, start._replace(run=2))
        again = instead(again, end, end._replace(run=2))
        ahead: list[Entry] = [start, end._replace(end="lost", sha256=None)]
        return instead(again, began(all, first), *ahead, began(all, first))

    past.forge(too_early)
    found = past.verify().violations
    assert ORDER in named(found)
    assert [(row["job"], row["run"]) for row in rows(found, ORDER[1])] == [(first, 1)]


def test_a_lost_job_that_begins_again_after_later_ones_is_clean(core: Core, tmp_path: Path) -> None:
    device = Witnessed.online(core, "dev-1", tmp_path / "journals")
    new_batch(core, 12)
    while len((window := device.puppet.take()).jobs) < 3:
        device.puppet.answer(window, *[device.run(window, task) for task in window.jobs])
    first, *later = window.jobs

    def is_lost(task: JobTask) -> Outcome:
        assert device.puppet.has_permit(task)
        device.begin(window, task)
        return device.ended(task, lost(task))

    device.puppet.answer(window, is_lost(first), *[device.run(window, task) for task in later])
    turns(device)
    check(core, device, runs=13)


@pytest.mark.parametrize("free_after_s", [0, 0.001])
def test_a_run_that_its_lease_kept_from_the_device_began_nothing(
    past: Proven, free_after_s: float
) -> None:
    batch = past.done[1]

    def kept_away(all: list[Entry]) -> list[Entry]:
        for job in past.jobs(batch):
            end, mono = finished(all, job), began(all, job).mono + free_after_s
            all = instead(all, end, end._replace(end="lost", sha256=None, mono=mono))
        return all

    past.forge(kept_away)
    past.change(
        "UPDATE batch SET ended_at = ended_at - interval '5 s' WHERE id = :batch", batch=batch
    )
    assert (CANCELED in named(past.verify().violations)) is (free_after_s > 0)
