"""Guards inside single statements, each taken away in its turn. Where another stands before it,
both must go before anything breaks: such a guard is braces beside a belt."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import ModuleType
from typing import Final, NamedTuple

import pytest
from sqlalchemy.exc import IntegrityError

from orchestrator.config import Settings
from orchestrator.domain.transitions import BatchEvent
from orchestrator.errors import Conflict
from orchestrator.services import cancel, outcomes
from orchestrator.services.cancel import cancel_batch, cancel_jobs
from orchestrator.services.core import Core
from orchestrator.services.device import pause
from orchestrator.services.revive import revive
from orchestrator.services.settle import began
from orchestrator.store import moves, moves_jobs, windows
from schemas.job import JobFilter
from schemas.task import Began, JobTask, Window
from tests.integration.overtaking import Sql
from tests.integration.own_database import own_database
from tests.integration.puppet import (
    PROJECT,
    Puppet,
    call,
    done,
    empty_database,
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
    any of the guards, and no more without all of them. Of `last` the database refuses what is
    left: what it says then, and the statement that makes it silent."""

    whole: Callable[[Core, Puppet, Sql], bool]
    guards: Sequence[Change]
    last: tuple[str, str] | None = None


def say_began(puppet: Puppet, window: Window, task: JobTask) -> None:
    message = Began(
        device=puppet.device,
        session=puppet.session,
        window=window.window,
        job=task.job,
        run=task.run,
        began_at=time.time(),
    )
    began(puppet.core, message)


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
    say_began(puppet, window, window.jobs[0])
    return told(sql, "started") == 1


def the_begin_of_an_earlier_run_says_nothing(core: Core, puppet: Puppet, sql: Sql) -> bool:
    batch = new_batch(core)
    first = puppet.take()
    puppet.answer(first, skipped(first.jobs[0]))
    say_began(puppet, first, first.jobs[0])
    return jobs_of(core, batch) == ["PENDING"]


def a_run_that_was_given_up_does_not_begin(core: Core, puppet: Puppet, sql: Sql) -> bool:
    batch = new_batch(core)
    window = puppet.take()
    puppet.has_permit(window.jobs[0])
    call(core, pause, "dev-1", "maintenance")
    puppet.answer(window, lost(window.jobs[0]))
    say_began(puppet, window, window.jobs[0])
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
    call(core, cancel_jobs, PROJECT, batch, JobFilter(), interrupt=False)
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
        core.moves.move_batch(tx, batch, BatchEvent.CANCELED)
    return status_of(core, batch) == "DONE"


def a_batch_is_canceled_once(core: Core, puppet: Puppet, sql: Sql) -> bool:
    batch = new_batch(core)
    with suppress(Conflict):
        call(core, cancel_batch, PROJECT, batch, interrupt=False)
        call(core, cancel_batch, PROJECT, batch, interrupt=False)
    return sql.execute(
        "SELECT count(*) FROM event WHERE kind = 'canceled' AND job_id IS NULL"
    ).fetchone() == (1,)


def what_runs_stays_in_its_window(core: Core, puppet: Puppet, sql: Sql) -> bool:
    new_batch(core)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    with core.transaction() as tx:
        core.windows.unstage(tx, [window.jobs[0].job])
    return sql.execute("SELECT count(*) FROM job WHERE window_id IS NULL").fetchone() == (0,)


# What the statements that cancel a job and that give it back have in common.
_MOVED: Final = """AS uuid[])) AND status = ANY(:sources) FOR UPDATE
    ), moved AS (
        UPDATE job SET status = :target, window_id = NULL, """
_GUARD: Final = " AND status = ANY(:sources)"
_STARTS: Final = "AND run = :run AND window_id IS NOT NULL AND status = ANY(:sources)"


_COUNTED: Final = (
    "batch_counts",
    "ALTER TABLE batch DROP CONSTRAINT batch_counts; DROP TRIGGER job_keeps_its_end ON job",
)


def less(module: ModuleType, text: str, left_out: str) -> Change:
    return module, text, text.replace(left_out, "")


CASES: Final = [
    Case(it_begins_once_though_it_says_so_twice, [less(moves_jobs, _STARTS, _GUARD)]),
    Case(the_begin_of_an_earlier_run_says_nothing, [less(moves_jobs, _STARTS, "AND run = :run ")]),
    Case(
        a_run_that_was_given_up_does_not_begin,
        [less(moves_jobs, _STARTS, "AND window_id IS NOT NULL ")],
    ),
    Case(
        an_end_that_is_told_twice_counts_once,
        [
            less(
                moves_jobs,
                "WHERE job.status = ANY(:sources) FOR UPDATE OF job",
                "WHERE job.status = ANY(:sources)",
            ),
            less(
                windows,
                "AS uuid[])) AND window_id IS NOT NULL ORDER",
                " AND window_id IS NOT NULL",
            ),
        ],
    ),
    Case(
        the_end_of_an_earlier_run_ends_nothing,
        [
            less(
                moves_jobs,
                "job.id = given.job AND job.run = given.run",
                " AND job.run = given.run",
            ),
            less(outcomes, "job is None or job.run != outcome.run", " or job.run != outcome.run"),
        ],
    ),
    Case(
        what_is_done_is_not_canceled,
        [
            less(moves_jobs, f"{_MOVED}reason", _GUARD),
            less(cancel, "rows if row.status not in JOB_ENDS]", " if row.status not in JOB_ENDS"),
        ],
        _COUNTED,
    ),
    Case(what_never_began_is_not_lost, [less(moves_jobs, f"{_MOVED}started_at", _GUARD)]),
    Case(
        what_is_done_is_not_revived,
        [less(moves_jobs, f"WHERE batch_id = :batch{_GUARD}", _GUARD)],
        _COUNTED,
    ),
    Case(a_batch_is_canceled_once, [less(moves, f"WHERE id = :id{_GUARD}", _GUARD)]),
    Case(
        a_batch_that_is_over_stays_so,
        [less(moves, f"WHERE id = :id{_GUARD}", _GUARD)],
        ("is DONE and stays so", "DROP TRIGGER batch_keeps_its_end ON batch"),
    ),
    Case(
        what_runs_stays_in_its_window,
        [less(windows, "AS uuid[])) AND status = 'PENDING' AND", " AND status = 'PENDING'")],
    ),
]


@contextmanager
def all_without(changes: Sequence[Change]) -> Iterator[None]:
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(without(*change))
        yield


@pytest.mark.parametrize("case", CASES, ids=[case.whole.__name__ for case in CASES])
def test_without_its_guards_it_breaks(
    settings: Settings, core: Core, puppet: Puppet, sql: Sql, case: Case
) -> None:
    with all_without(case.guards):
        if case.last is None:
            assert not case.whole(core, puppet, sql)
            return
        refusal, silence = case.last
        with pytest.raises(IntegrityError, match=refusal):
            case.whole(core, puppet, sql)
        with own_database(settings, sql) as (weak, own):
            own.execute(silence)
            empty_database(weak)
            assert not case.whole(weak, Puppet.online(weak, "dev-1"), own)


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
