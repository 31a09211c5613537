"""What customers do, each with how often and with about how many jobs."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from holdfast import Conflict

from tests.chaos.customer import Customer, Jobs

SEVERAL: Final = ("POOL", "POOL", "POOL", "PAIR")
ALL: Final = (*SEVERAL, "SOLO", "TWIN")
TINY: Final = 128


def deeds(me: Customer, n: int, do: str = "noop", **more: Any) -> Jobs:
    """Jobs that leave a line in the devices' own record when they begin and end."""
    return [{"payload": {"do": do, "log": me.log, **more}} for _ in range(n)]


def some(me: Customer, n: int) -> Jobs:
    """Short ones of every kind, most of them good."""
    words = me.dice.choices(
        ("sleep", "echo", "big", "fail", "raise", "nan", "crash", "segfault"),
        (50, 25, 8, 6, 4, 3, 2, 2),
        k=n,
    )
    more: dict[str, dict[str, Any]] = {
        "sleep": {"s": round(me.dice.uniform(0.01, 0.3), 3)},
        "big": {"bytes": 400_000},
    }
    return [job for word in words for job in deeds(me, 1, word, **more.get(word, {}))]


def tiny(me: Customer) -> None:
    """Windows grow to their full size."""
    me.create(me.dice.choice(ALL), deeds(me, TINY))


def closed(me: Customer) -> None:
    me.create(me.dice.choice(ALL), some(me, me.dice.randint(1, 10)))


def long(me: Customer) -> None:
    jobs = deeds(me, 1, "sleep", s=round(me.dice.uniform(2, 10), 1))
    me.create(me.dice.choice((*ALL, "TWIN")), jobs + deeds(me, 1))


def lanes(me: Customer) -> None:
    kind = me.dice.choice(SEVERAL)
    me.create(kind, some(me, 8), lanes=me.dice.randint(2, 3 if kind == "POOL" else 2))


def urgent(me: Customer) -> None:
    me.create(me.dice.choice(ALL), some(me, 3), priority=me.dice.randint(1, 20))


def patient(me: Customer) -> None:
    """Gives its seat to whoever is more urgent."""
    me.create(me.dice.choice(ALL), some(me, 6), priority=-5, preemptible=True)


def session(me: Customer) -> None:
    """An open batch: jobs are added as others end, one of them once more; then it is closed."""
    batch = me.create(me.dice.choice(ALL), some(me, 2), open=True, idle_timeout_s=30)
    for _ in range(me.dice.randint(1, 3)):
        me.wait(lambda: me.insist(lambda c: c.attach(batch.id)).jobs_left == 0, 5)
        me.add(batch, some(me, 2))
    failed = me.insist(lambda c: c.attach(batch.id).jobs("ERROR"))
    if failed:
        with suppress(Conflict):
            again = me.insist(lambda c: c.attach(batch.id).retry(failed[0]))
            me.ledger.jobs[again.id] = batch.id
    with suppress(Conflict):
        me.insist(lambda c: c.attach(batch.id).close())


def forgotten(me: Customer) -> None:
    """An open batch that nobody closes: it is timed out."""
    me.create(me.dice.choice(ALL), some(me, 2), open=True, idle_timeout_s=2.5)


def regretted(me: Customer) -> None:
    """Canceled as a whole, before or while it runs."""
    batch = me.create(me.dice.choice(ALL), some(me, 6))
    time.sleep(me.dice.uniform(0, 3))
    me.cancel(batch, interrupt=me.dice.random() < 0.5)


def picky(me: Customer) -> None:
    """Some of its jobs are canceled."""
    batch = me.create(me.dice.choice(ALL), some(me, 8))
    jobs = me.insist(lambda c: c.attach(batch.id).jobs())
    me.ledger.jobs.update((job.id, batch.id) for job in jobs)
    time.sleep(me.dice.uniform(0, 2))
    chosen = [job.id for job in me.dice.sample(jobs, 4)]
    me.cancel_jobs(batch, chosen, interrupt=me.dice.random() < 0.5)


Habit = tuple[float, int, Callable[[Customer], None]]
HABITS: Final[list[Habit]] = [
    (10, TINY, tiny),
    (10, 5, closed),
    (5, 2, long),
    (6, 8, lanes),
    (6, 3, urgent),
    (5, 6, patient),
    (6, 8, session),
    (3, 2, forgotten),
    (6, 6, regretted),
    (6, 8, picky),
]
