"""A script: what happens in one history. Any part of a script is a script, too, so that a failing
one can be made smaller by leaving steps out."""

import random
from collections.abc import Callable
from typing import Final, NamedTuple, cast
from uuid import UUID

from orchestrator.services.append import add, open_batch
from orchestrator.services.cancel import cancel_batch, cancel_jobs
from orchestrator.services.close import close
from orchestrator.services.device import interrupt, pause, resume
from orchestrator.services.revive import revive
from orchestrator.services.submit import accept
from orchestrator.store.batches import NewBatch
from orchestrator.store.jobs import NewJob
from schemas.job import JobFilter
from tests.sim.world import PROJECT, World

STEPS: Final = 150
LENGTHS_S: Final = (0.0, 0.05, 0.4, 2.0, 9.0)


class Step(NamedTuple):
    """`kind` happens after `after` seconds; `x` in [0, 1) says to whom, and how."""

    kind: str
    x: float
    after: float


def write(seed: int, steps: int = STEPS) -> list[Step]:
    draw = random.Random(seed)
    kinds = draw.choices(KINDS, cum_weights=WEIGHTS, k=steps)
    pauses = draw.choices(PAUSES, cum_weights=PAUSE_WEIGHTS, k=steps)
    chance = draw.random
    opening = [Step("submit", chance(), 0.0) for _ in range(2)]
    chances = [chance() for _ in kinds]
    return opening + list(map(Step._make, zip(kinds, chances, pauses, strict=True)))


def play(world: World, step: Step) -> None:
    if step.after:
        world.broker.now += step.after
    DEEDS[step.kind](world, step.x)


def _pick(x: float, n: int) -> tuple[int, float]:
    """One of n, and what is left of x to choose by."""
    place = x * n
    return int(place), place - int(place)


# The parts of the stack.


def work(world: World, x: float) -> None:
    which, _ = _pick(x, len(world.workers))
    world.workers[which].step()


def tick(world: World, x: float) -> None:
    which, _ = _pick(x, len(world.workers))
    world.workers[which].tick()


def control(world: World, x: float) -> None:
    """Mostly the oldest message, now and then a later one, which thereby overtakes."""
    queue = world.broker.control
    if queue and world.broker.up:
        late = x > 0.9
        which = _pick((x - 0.9) * 10, len(queue))[0] if late else 0
        world.handle(queue.pop(which))


def look(world: World, x: float) -> None:
    world.look_around()


# Users.


def submit(world: World, x: float) -> None:
    if len(world.rows.batches) >= 8:
        return
    kind, x = _pick(x, 3)
    n, x = _pick(x, 5)
    is_open, x = x < 0.4, x / 0.4 if x < 0.4 else (x - 0.4) / 0.6
    priority, x = _pick(x, 3)
    lanes = 2 if kind == 0 and x > 0.7 else 1
    number = next(world.numbers)
    new = NewBatch(
        id=world.ids(number),
        project_id=PROJECT,
        user_id=None,
        parent_id=None,
        name=None,
        device_type="LONE" if kind == 2 else "POOL",
        device_name=None,
        open=is_open,
        priority=priority,
        preemptible=not is_open,
        lanes=lanes,
        idle_timeout_s=3.0,
        max_duration_s=20.0 if x < 0.15 else None,
        tags=(),
        shared={},
    )
    world.within(accept, new, _jobs(n if is_open else n + 1, x))


def _jobs(n: int, x: float) -> list[NewJob]:
    jobs: list[NewJob] = []
    for _ in range(n):
        which, x = _pick(x, len(LENGTHS_S))
        jobs.append(NewJob({"s": LENGTHS_S[which], "fails": x < 0.1}))
    return jobs


def _batch(world: World, x: float) -> tuple[UUID | None, float]:
    known = list(world.rows.batches)
    if not known:
        return None, x
    which, x = _pick(x, len(known))
    return known[which], x


def append(world: World, x: float) -> None:
    batch, x = _batch(world, x)
    if batch is not None and len(world.rows.of_batch[batch]) < 12:
        world.within(
            lambda core, tx: add(core, tx, open_batch(core, tx, PROJECT, batch), _jobs(1, x))
        )


def shut(world: World, x: float) -> None:
    batch, _ = _batch(world, x)
    if batch is not None:
        world.within(close, PROJECT, batch)


def drop_job(world: World, x: float) -> None:
    batch, x = _batch(world, x)
    jobs = world.rows.of_batch.get(cast(UUID, batch), ())
    if batch is None or not jobs:
        return
    which, x = _pick(x, len(jobs))
    chosen = JobFilter.model_construct(ids=[cast(UUID, jobs[which])])
    said = world.within(cancel_jobs, PROJECT, batch, chosen, interrupt=x < 0.5)
    world.floor.forbidden.update(job for job, verdict in said or () if verdict == "canceled")


def drop_batch(world: World, x: float) -> None:
    batch, x = _batch(world, x)
    if batch is not None:
        world.within(cancel_batch, PROJECT, batch, interrupt=x < 0.5)


def bring_back(world: World, x: float) -> None:
    batch, _ = _batch(world, x)
    if batch is not None:
        world.floor.forbidden.difference_update(world.rows.of_batch[batch])
        world.revived.update(world.rows.of_batch[batch])
        world.within(revive, PROJECT, batch)


def serve_or_not(world: World, x: float) -> None:
    which, x = _pick(x, 3)
    verb = pause if x < 0.5 else resume
    reason = ("maintenance",) if verb is pause else ()
    world.within(verb, ("one", "two", "lone")[which], *reason)


def take_out(world: World, x: float) -> None:
    """At once: what runs there is stopped, and runs again."""
    which, _ = _pick(x, 3)
    world.within(interrupt, ("one", "two", "lone")[which], "smoke")


# What goes wrong.


def kill(world: World, x: float) -> None:
    which, _ = _pick(x, len(world.workers))
    world.workers[which].boot()


def freeze(world: World, x: float) -> None:
    which, x = _pick(x, len(world.workers))
    world.workers[which].frozen_until = world.broker.now + 20 * x


def cut_off(world: World, x: float) -> None:
    which, x = _pick(x, len(world.workers))
    world.workers[which].deaf_until = world.broker.now + 20 * x


def fill_disk(world: World, x: float) -> None:
    which, x = _pick(x, len(world.workers))
    world.workers[which].node.full = x < 0.5


def flush(world: World, x: float) -> None:
    world.broker.flush()


def switch_broker(world: World, x: float) -> None:
    """Off half the time; on again with its data, or without."""
    if world.broker.up and x < 0.5:
        world.broker.up = False
    else:
        world.broker.up = True
        if x > 0.9:
            world.broker.flush()


def switch_database(world: World, x: float) -> None:
    world.database_up = x > 0.4 or not world.database_up


def lose(world: World, x: float) -> None:
    for queue in _queues(world):
        if queue:
            queue.pop(_pick(x, len(queue))[0])
            return


def double(world: World, x: float) -> None:
    """A message comes again, now or much later."""
    for queue in _queues(world):
        if queue:
            queue.append(queue[_pick(x, len(queue))[0]])
            return


def _queues(world: World) -> list[list[object]]:
    queues = [world.broker.control, *world.broker.devices.values()]
    return cast(list[list[object]], queues)


def mislead(world: World, x: float) -> None:
    world.broker.forgetful = True


def trouble(world: World, x: float) -> None:
    """One of the next commits goes wrong."""
    which, x = _pick(x, len(TROUBLES))
    world.trouble, world.in_trouble = TROUBLES[which], int(x * 4)


def overtake(world: World, x: float) -> None:
    """Workers go on in the midst of the next transaction that speaks to Redis."""
    world.meanwhile = 1 + int(x * 12)


def intrude(world: World, x: float) -> None:
    """A user's call comes between two transactions of a service."""
    which, x = _pick(x, len(CALLS))
    after, x = _pick(x, 6)
    world.intruder = lambda: CALLS[which](world, x)
    world.intruder_after = after


CALLS: Final = (append, shut, drop_job, drop_batch, bring_back, control)
TROUBLES: Final = ("refused", "died before", "died after", "answer lost", "died between")

_DEEDS: Final[list[tuple[Callable[[World, float], None], float]]] = [
    (work, 52),
    (control, 14),
    (tick, 12),
    (look, 5),
    (submit, 2),
    (append, 2.5),
    (shut, 1.5),
    (drop_job, 1.5),
    (drop_batch, 0.5),
    (bring_back, 0.6),
    (serve_or_not, 0.8),
    (take_out, 0.4),
    (kill, 0.8),
    (freeze, 0.6),
    (cut_off, 0.4),
    (fill_disk, 0.3),
    (flush, 0.25),
    (switch_broker, 0.4),
    (switch_database, 0.4),
    (lose, 0.6),
    (double, 1.0),
    (mislead, 0.3),
    (trouble, 1.2),
    (overtake, 1.0),
    (intrude, 1.5),
]
DEEDS: Final = {deed.__name__: deed for deed, _ in _DEEDS}
KINDS: Final = tuple(DEEDS)
WEIGHTS: Final = [sum(weight for _, weight in _DEEDS[: n + 1]) for n in range(len(_DEEDS))]
PAUSES: Final = (0.0, 0.01, 0.1, 0.7, 2.5, 9.0)
PAUSE_WEIGHTS: Final = (30.0, 70.0, 88.0, 96.0, 99.0, 100.0)
