"""Guards inside single statements, each taken away in its turn. Where another stands before it,
both must go before anything breaks: such a guard is braces beside a belt."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Final, NamedTuple

import pytest

from orchestrator.services import cancel, outcomes
from orchestrator.services.cancel import cancel_batch, cancel_job
from orchestrator.services.core import Core
from orchestrator.services.device import pause
from orchestrator.services.revive import revive
from orchestrator.store import moves, windows
from tests.integration.overtaking import Sql
from tests.integration.puppet import (
    PROJECT,
    Puppet,
    call,
    done,
    failed,
    jobs_of,
    lost,
    new_batch,
    skipped,
    status_of,
)
from tests.sim.guards import without

Change = tuple[ModuleType, str, str]


class Case(NamedTuple):
    """`whole` lives through something and says whether what is promised still holds. It does with
    any of the guards, and no more without all of them."""

    whole: Callable[[Core, Puppet, Sql], bool]
    guards: Sequence[Change]


def told(sql: Sql, kind: str) -> int:
    """How often something happened to a job."""
    row = sql.execute(
        "SELECT count(*) FROM event WHERE kind = %s AND job_id IS NOT NULL", [kind]
    ).fetchone()
    return int(row[0]) if row else 0


def it_begins_once_though_it_says_so_twice(core: Core, puppet: Puppet, sql: Sql) -> bool:
    new_batch(core)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    puppet.say_began(window, window.jobs[0])
    return told(sql, "started") == 1


def the_begin_of_an_earlier_run_says_nothing(core: Core, puppet: Puppet, sql: Sql) -> bool:
    batch = new_batch(core)
    first = puppet.take()
    puppet.answer(first, skipped(first.jobs[0]))
    puppet.say_began(first, first.jobs[0])
    return jobs_of(core, batch) == ["PENDING"]


def a_run_that_was_given_up_does_not_begin(core: Core, puppet: Puppet, sql: Sql) -> bool:
    batch = new_batch(core)
    window = puppet.take()
    puppet.has_permit(window.jobs[0])
    call(core, pause, "dev-1", "maintenance")
    puppet.answer(window, lost(window.jobs[0]))
    puppet.say_began(window, window.jobs[0])
    return jobs_of(core, batch) == ["PENDING"]


def an_end_that_is_told_twice_counts_once(core: Core, puppet: Puppet, sql: Sql) -> bool:
    batch = new_batch(core, 2)
    window = puppet.take()
    outcome = failed(window.jobs[0])
    puppet.has_permit(window.jobs[0])
    puppet.answer(window, outcome)
    puppet.answer(window, outcome)
    return (status_of(core, batch), jobs_of(core, batch)) == ("RUNNING", ["ERROR", "PENDING"])


def the_end_of_an_earlier_run_ends_nothing(core: Core, puppet: Puppet, sql: Sql) -> bool:
    batch = new_batch(core)
    first = puppet.take()
    puppet.answer(first, skipped(first.jobs[0]))
    puppet.answer(first, done(first.jobs[0]))
    return jobs_of(core, batch) == ["PENDING"]


def what_is_done_is_not_canceled(core: Core, puppet: Puppet, sql: Sql) -> bool:
    batch = new_batch(core, 2)
    window = puppet.serve()
    call(core, cancel_batch, PROJECT, batch, interrupt=False)
    return jobs_of(core, batch) == ["DONE", "CANCELED"] and window.jobs[0].ordinal == 1


def what_never_began_is_not_lost(core: Core, puppet: Puppet, sql: Sql) -> bool:
    new_batch(core)
    window = puppet.take()
    puppet.answer(window, skipped(window.jobs[0], gone=False))
    return told(sql, "lost") == 0


def what_is_done_is_not_revived(core: Core, puppet: Puppet, sql: Sql) -> bool:
    batch = new_batch(core, 2)
    puppet.serve()
    call(core, cancel_batch, PROJECT, batch, interrupt=False)
    call(core, revive, PROJECT, batch)
    return jobs_of(core, batch) == ["DONE", "PENDING"]


def a_batch_that_is_over_stays_so(core: Core, puppet: Puppet, sql: Sql) -> bool:
    batch = new_batch(core)
    puppet.serve_all()
    with core.transaction() as tx:
        core.moves.move_batch(tx, batch, outcomes.BatchEvent.CANCELED)
    return status_of(core, batch) == "DONE"


def what_runs_stays_in_its_window(core: Core, puppet: Puppet, sql: Sql) -> bool:
    new_batch(core)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    with core.transaction() as tx:
        core.windows.unstage(tx, [window.jobs[0].job])
    return sql.execute("SELECT count(*) FROM job WHERE window_id IS NULL").fetchone() == (0,)


_STARTS: Final = "AND run = :run AND window_id IS NOT NULL AND status = ANY(:sources)"
CASES: Final = [
    Case(
        it_begins_once_though_it_says_so_twice,
        [(moves, _STARTS, _STARTS.replace(" AND status = ANY(:sources)", ""))],
    ),
    Case(
        the_begin_of_an_earlier_run_says_nothing,
        [(moves, _STARTS, _STARTS.replace("AND run = :run ", ""))],
    ),
    Case(
        a_run_that_was_given_up_does_not_begin,
        [(moves, _STARTS, _STARTS.replace("AND window_id IS NOT NULL ", ""))],
    ),
    Case(
        an_end_that_is_told_twice_counts_once,
        [
            (moves, "WHERE job.status = ANY(:sources) FOR UPDATE OF job", "FOR UPDATE OF job"),
            (windows, "AND window_id IS NOT NULL ORDER BY", "ORDER BY"),
        ],
    ),
    Case(
        the_end_of_an_earlier_run_ends_nothing,
        [
            (moves, "ON job.id = given.job AND job.run = given.run", "ON job.id = given.job"),
            (outcomes, "if job is None or job.run != outcome.run:", "if job is None:"),
        ],
    ),
    Case(
        what_is_done_is_not_canceled,
        [
            (
                moves,
                "AS uuid[])) AND status = ANY(:sources) FOR UPDATE\n    ), moved AS (\n        UPDATE job SET status = :target, window_id = NULL, reason",
                "AS uuid[])) FOR UPDATE\n    ), moved AS (\n        UPDATE job SET status = :target, window_id = NULL, reason",
            ),
            (cancel, "[row for row in rows if row.status not in JOB_ENDS]", "list(rows)"),
        ],
    ),
    Case(
        what_never_began_is_not_lost,
        [
            (
                moves,
                "AS uuid[])) AND status = ANY(:sources) FOR UPDATE\n    ), moved AS (\n        UPDATE job SET status = :target, window_id = NULL, started_at",
                "AS uuid[])) FOR UPDATE\n    ), moved AS (\n        UPDATE job SET status = :target, window_id = NULL, started_at",
            )
        ],
    ),
    Case(
        what_is_done_is_not_revived,
        [
            (
                moves,
                "WHERE batch_id = :batch AND status = ANY(:sources) FOR",
                "WHERE batch_id = :batch FOR",
            )
        ],
    ),
    Case(
        a_batch_that_is_over_stays_so,
        [
            (
                moves,
                "WHERE id = :id AND status = ANY(:sources) RETURNING",
                "WHERE id = :id RETURNING",
            )
        ],
    ),
    Case(
        what_runs_stays_in_its_window,
        [
            (
                windows,
                "AS uuid[])) AND status = 'PENDING' AND window_id",
                "AS uuid[])) AND window_id",
            )
        ],
    ),
]


@contextmanager
def all_without(changes: Sequence[Change]) -> Iterator[None]:
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(without(*change))
        yield


@pytest.mark.parametrize("case", CASES, ids=[case.whole.__name__ for case in CASES])
def test_without_its_guards_it_breaks(core: Core, puppet: Puppet, sql: Sql, case: Case) -> None:
    with all_without(case.guards):
        assert not case.whole(core, puppet, sql)


_EACH: Final = [(case, guard) for case in CASES for guard in case.guards]


@pytest.mark.parametrize(
    ("case", "kept"),
    _EACH,
    ids=[f"{case.whole.__name__}-{guard[0].__name__.split('.')[-1]}" for case, guard in _EACH],
)
def test_each_of_its_guards_is_enough(
    core: Core, puppet: Puppet, sql: Sql, case: Case, kept: Change
) -> None:
    with all_without([guard for guard in case.guards if guard is not kept]):
        assert case.whole(core, puppet, sql)
