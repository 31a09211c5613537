"""`verify` on the ledger: every way in which it could be wrong is found."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.services.cancel import cancel_batch
from orchestrator.services.core import Core
from orchestrator.services.revive import revive
from tests.integration.money import HOUR, balances, grant, priced, wrong
from tests.integration.proven import Proven, named, rows
from tests.integration.puppet import PROJECT, Puppet, call, new_batch

SUM = "the ledger sums to zero"
BALANCES = "balances are their transfers"
HELD = "what is held is held for jobs"
CLOSED = "holds end with their jobs"
PAID = "each hold is paid out once"
UNHELD = "billed jobs have holds"


@pytest.fixture
def past(core: Core, tmp_path: Path) -> Iterator[Proven]:
    """With one batch that was paid for, and one that still is."""
    made = Proven.lived(core, tmp_path / "journals")
    made.swept()
    priced(core, device_type="PAID")
    grant(core, 10 * HOUR)
    puppet = Puppet.online(core, "dev-2", device_type="PAID")
    new_batch(core, 2, device_type="PAID")
    puppet.serve_all()
    new_batch(core, 2, device_type="PAID")
    assert balances(core)[1] == 2 * HOUR
    assert wrong(core) == []
    yield made
    made.device.journal.close()


def test_a_past_that_was_paid_for_is_clean(past: Proven) -> None:
    lines = [line for line in past.verify().lines if line.invariant == 10]
    assert len(lines) == 6
    assert {line.verdict.value for line in lines} == {"ok"}
    assert all(line.looked_at for line in lines)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE account SET balance = balance + 1 WHERE kind = 'available'", {SUM, BALANCES}),
        ("UPDATE transfer SET amount = amount + 1 WHERE kind = 'grant'", {BALANCES}),
        ("UPDATE hold SET amount = amount + 1 WHERE state = 'held'", {HELD}),
        ("DELETE FROM transfer WHERE kind = 'release'", {BALANCES, PAID}),
        ("UPDATE transfer SET amount = amount + 1 WHERE kind = 'capture'", {BALANCES, PAID}),
        (
            "UPDATE hold SET state = 'released', captured = NULL WHERE state = 'captured'",
            {PAID},
        ),
        (
            "UPDATE hold SET state = 'released', closed_at = now() WHERE state = 'held'",
            {HELD, CLOSED, PAID},
        ),
        (
            "UPDATE hold SET state = 'held', captured = NULL, closed_at = NULL"
            " WHERE state = 'captured'",
            {HELD, CLOSED, PAID},
        ),
    ],
)
def test_what_was_tampered_with_is_found(past: Proven, change: str, found: set[str]) -> None:
    past.change(change)
    report = past.verify()
    assert named(report.violations) == {(10, what) for what in found}


def test_a_job_that_should_be_paid_for_and_is_not_is_told_of(past: Proven) -> None:
    past.change("UPDATE batch SET billed = true WHERE id = :b", b=past.done[0])
    warnings = past.verify().warnings
    assert (10, UNHELD) in named(warnings)
    assert [str(row["job"]) for row in rows(warnings, UNHELD)] == past.jobs(past.done[0])


def test_what_is_revived_once_it_is_free_holds_nothing(core: Core) -> None:
    priced(core)
    grant(core, HOUR)
    batch = new_batch(core)
    call(core, cancel_batch, PROJECT, batch, interrupt=False)
    priced(core, rate=0)
    call(core, revive, PROJECT, batch)
    assert balances(core) == (HOUR, 0, 0)
    assert wrong(core) == []


def test_a_range_looks_at_its_own_holds(past: Proven) -> None:
    past.change("UPDATE hold SET state = 'released', captured = NULL WHERE state = 'captured'")
    past.change("UPDATE batch SET ended_at = ended_at - interval '1 hour' WHERE status = 'DONE'")
    since = past.verify().at
    assert named(past.verify(since=since).violations) == set()
