"""From the last job of one batch to the first job of the next, however many wait behind."""

from collections.abc import Generator
from contextlib import contextmanager
from statistics import median

from tests.bench.ground import DEVICE, NOOP, TYPE, Ground, await_true
from tests.bench.links import LINKS
from tests.bench.plan import Plan, Step
from tests.bench.reading import Reading, at_most

FEW = 100

# Batches without a job: they would end as soon as they are admitted, and none of them ever is,
# since the ones that are measured came first. What counts is that the queue's index holds them.
_FILL = """
    INSERT INTO batch (id, project_id, name, device_type, open, preemptible, idle_timeout_s, shared)
    SELECT gen_random_uuid(), (SELECT project_id FROM batch LIMIT 1), 'waiting', %s,
        false, false, 300, '{}'
    FROM generate_series(1, %s)
"""
# Without the checks of foreign keys, of which there would be three for each row.
_EMPTY = """
    SET session_replication_role = replica;
    DELETE FROM batch WHERE name = 'waiting';
    SET session_replication_role = origin;
"""
_GAPS = """
    SELECT extract(epoch FROM first_began - lag(last_ended) OVER (ORDER BY first_began))::float8
    FROM (
        SELECT min(job.started_at) AS first_began, max(job.ended_at) AS last_ended FROM job
        JOIN batch ON batch.id = job.batch_id
        WHERE batch.name = %s AND batch.status = 'DONE' GROUP BY job.batch_id
    ) AS ran ORDER BY first_began
"""


def handover(ground: Ground, plan: Plan, step: Step) -> list[Reading]:
    links: list[float] = []
    gaps: dict[int, list[float]] = {FEW: [], plan.many_waiting: []}
    with ground.celery() as celery:
        celery.run(LINKS)
        for n, waiting in enumerate((FEW, plan.many_waiting, FEW)):
            gaps[waiting] += _gaps(ground, plan, f"handover-{n}", waiting)
            links += [celery.run(LINKS).link * 1e3 for _ in range(3)]
            step()
    few, many = gaps[FEW], gaps[plan.many_waiting]
    readings = [
        Reading(
            metric=f"hand-over between two batches, {waiting:,} queued, p50",
            unit="ms",
            ours=gaps[waiting],
            peer=links,
            against=f"link of a Celery chain({LINKS})",
            aim=at_most(2.0),
        )
        for waiting in gaps
    ]
    growth = Reading(
        metric=f"the same, {plan.many_waiting:,} against {FEW} queued",
        unit="×",
        ours=[median(many) / median(few)],
        aim=at_most(1.2),
    )
    return [*readings, growth]


def _gaps(ground: Ground, plan: Plan, name: str, waiting: int) -> list[float]:
    """Milliseconds. The device is out of service while the queue is built and taken down."""
    ground.post(f"/v1/devices/{DEVICE}/drain", {"reason": "a queue is being built"})
    for _ in range(FEW):
        ground.submit([NOOP], name=name)
    with _filled(ground, waiting - FEW):
        ground.post(f"/v1/devices/{DEVICE}/resume", {})
        await_true(lambda: _done(ground, name) > plan.handovers, "batches to end", 60)
        ground.post(f"/v1/devices/{DEVICE}/drain", {"reason": "enough was measured"})
        _until_seat_free(ground)
    ground.post(f"/v1/devices/{DEVICE}/resume", {})
    await_true(lambda: _done(ground, name) == FEW, "the rest of the batches to end", 60)
    _until_seat_free(ground)
    rows = ground.database.execute(_GAPS, (name,)).fetchall()
    # The warm-up of the first few is left out, as for the peers.
    return [row[0] * 1e3 for row in rows if row[0] is not None][2 : plan.handovers]


@contextmanager
def _filled(ground: Ground, batches: int) -> Generator[None]:
    if batches <= 0:
        yield
        return
    ground.database.execute(_FILL, (TYPE, batches))
    _tidy(ground)
    try:
        yield
    finally:
        ground.database.execute(_EMPTY)
        _tidy(ground)


def _tidy(ground: Ground) -> None:
    """At once, so that neither is done in the background while something is measured."""
    ground.database.execute("VACUUM (ANALYZE) batch")
    ground.database.execute("CHECKPOINT")


def _done(ground: Ground, name: str) -> int:
    row = ground.database.execute(
        "SELECT count(*) FROM batch WHERE name = %s AND status = 'DONE'", (name,)
    ).fetchone()
    return int(row[0]) if row else 0


def _until_seat_free(ground: Ground) -> None:
    def free() -> bool:
        row = ground.database.execute(
            "SELECT seat IS NULL FROM device WHERE name = %s", (DEVICE,)
        ).fetchone()
        return row is not None and bool(row[0])

    await_true(free, "the device to be free", 20)
