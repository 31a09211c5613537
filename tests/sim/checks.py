"""The invariants of the design, on a history that has come to its end."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from orchestrator.domain.transitions import (
    BATCH_MOVES,
    JOB_ENDS,
    JOB_MOVES,
    BatchEvent,
    JobEvent,
)
from tests.sim.device import Began, Violation
from tests.sim.memory import Event
from tests.sim.world import World


def check(world: World) -> None:
    """Raises `Violation`. What can only be seen at the moment, `Floor` has seen."""
    for rule in RULES:
        rule(world)


def everything_ends(world: World) -> None:
    rows = world.rows
    stray = [job.id for job in rows.jobs.values() if job.status not in JOB_ENDS]
    if stray or not world.is_over():
        batches = {row.id: row.status for row in rows.batches.values()}
        raise Violation(f"(8) not over: jobs {stray}; batches {batches}")
    for batch, jobs in rows.of_batch.items():
        row = rows.batches[batch]
        if row.jobs_left or row.jobs_total != len(jobs):
            raise Violation(f"(4) batch {batch} has miscounted: {row}")


def a_batch_has_its_device_for_itself(world: World) -> None:
    by_device: defaultdict[str, list[Began]] = defaultdict(list)
    for began in world.floor.history:
        by_device[began.device].append(began)
    for device, begins in by_device.items():
        owner: dict[int, str] = {}
        for one in begins:
            if owner.setdefault(one.fence, one.batch) != one.batch:
                raise Violation(f"(1) fence {one.fence} of {device} is of two batches: {begins}")
        for one, other in pairwise(begins):
            if other.fence < one.fence:
                raise Violation(f"(2) {other} on {device} under an older fence than {one}")


def jobs_begin_in_order(world: World) -> None:
    last: dict[str, int] = {}
    seen: set[str] = set()
    for one in world.floor.history:
        job = world.rows.jobs[one.job]
        if world.rows.batches[job.batch_id].lanes > 1 or one.job in world.revived:
            continue
        if one.job not in seen and job.ordinal < last.get(one.batch, 0):
            raise Violation(f"(3) job {one.job} began after a later one of its batch")
        seen.add(one.job)
        last[one.batch] = max(last.get(one.batch, 0), job.ordinal)


def every_done_job_has_the_result_of_its_run(world: World) -> None:
    for job in world.rows.jobs.values():
        result = world.rows.results.get(job.id)
        if (result is None) != (job.status != "DONE"):
            raise Violation(f"(5) job {job} with result {result}")
        if result is None:
            continue
        ran = world.floor.ends.get((job.id, job.run))
        if result != (job.run, f"{job.id}/{job.run}") or ran != "Returned":
            raise Violation(f"(5) job {job} has {result}, its device says {ran}")


def what_a_journal_knows_is_not_run_again(world: World) -> None:
    """Of the device that is alone: its one journal answers for all of its runs."""
    node = world.workers[-1].node
    for one in world.floor.history:
        known = {run for job, run in node.ended if job == one.job and run < one.run}
        if one.device == node.device and known and one.job not in world.revived:
            raise Violation(f"(5) {one} although run {max(known)} had ended")


def what_must_not_be_tried_again_is_not(world: World) -> None:
    """Where `on_lost` is fail, a job begins at most once, unless its batch is revived, or the run
    before was stopped for the sake of its device."""
    stopped = {run for worker in world.workers for run in worker.node.stopped}
    begun: dict[str, int] = {}
    for one in world.floor.history if world.rows.on_lost == "fail" else []:
        again = one.job in begun and (one.job, begun[one.job]) not in stopped
        if again and one.job not in world.revived:
            raise Violation(f"(5) {one} although it may have begun before, and on_lost is fail")
        begun[one.job] = one.run


def every_move_is_legal(world: World) -> None:
    of_batch: defaultdict[str, list[Event]] = defaultdict(list)
    of_job: defaultdict[str, list[Event]] = defaultdict(list)
    for event in world.rows.events:
        if event.job is not None:
            of_job[event.job].append(event)
        elif event.batch is not None and event.kind in BATCH_KINDS:
            of_batch[str(event.batch)].append(event)
    for job, events in of_job.items():
        _follow(job, events, {e.value: JOB_MOVES[e] for e in JobEvent})
        if events[-1].status != world.rows.jobs[job].status:
            raise Violation(f"(4) job {job}: {events[-1]} is not its status")
    for batch, events in of_batch.items():
        _follow(batch, events, {e.value: BATCH_MOVES[e] for e in BatchEvent})


def _follow(name: str, events: Sequence[Event], moves: dict[str, object]) -> None:
    status: str | None = "PENDING"
    for event in events:
        move = moves[event.kind]
        if status not in move.sources:  # type: ignore[attr-defined]
            raise Violation(f"(4) {name} was {event.kind} while {status}: {events}")
        status = event.status


def only_the_idle_time_out(world: World) -> None:
    active: dict[object, datetime] = {}
    for event in world.rows.events:
        if event.kind == BatchEvent.IDLED:
            row = world.rows.batches[event.batch]  # type: ignore[index]
            idle = event.at - active[event.batch]
            if idle < timedelta(seconds=row.idle_timeout_s):
                raise Violation(f"(7) batch {event.batch} timed out after {idle}")
        if event.job is not None or event.kind in ACTIVITY:
            active[event.batch] = event.at


BATCH_KINDS: Final = frozenset(BatchEvent)
ACTIVITY: Final = frozenset({"created", "jobs_added", "admitted"})
RULES: Final[tuple[Callable[[World], None], ...]] = (
    everything_ends,
    a_batch_has_its_device_for_itself,
    jobs_begin_in_order,
    every_done_job_has_the_result_of_its_run,
    what_a_journal_knows_is_not_run_again,
    what_must_not_be_tried_again_is_not,
    every_move_is_legal,
    only_the_idle_time_out,
)
