"""Outlook: a device type's queue as the rules of estimates see it, and what they make of it."""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple
from uuid import UUID

from orchestrator.domain.estimate import (
    KNOWN_FROM,
    Crowd,
    Expected,
    Held,
    Seat,
    Stay,
    Waiting,
    Work,
    simulate,
)
from orchestrator.store.estimates import Pool, Program, Queued, SeatedRow, line_of, pool_of
from orchestrator.store.learned import ALL, GAP, STAY
from orchestrator.store.listings_reading import Reader
from orchestrator.store.paces import KEPT, Paces, fingerprint, paces_of

HEAD: Final = 64
"""So many of the queue are played through one by one; the others ahead are told together."""
_KINDS_MOST: Final = 8
"""Jobs of a batch with so many different `runs` are told apart; with more, the most frequent."""


class Outlook(NamedTuple):
    """`expected` has none that no device can take as things stand, and nobody where nothing was
    learned. `paces` are those of everything that was looked at."""

    pool: Pool
    line: list[Queued]
    paces: Paces
    expected: dict[object, Expected]

    @property
    def learned(self) -> bool:
        return bool(self.paces.get(ALL))


def outlook(
    connection: Reader,
    device_type: str,
    seed: str,
    *,
    head: int = HEAD,
    also: Collection[UUID] = (),
) -> Outlook:
    """Of the first `head` of the queue, of `also`, and of what holds the devices. The same `seed`
    gives the same figures for the same queue."""
    pool = pool_of(connection, device_type)
    line = line_of(connection, device_type, head=head, also=also)
    held = [seat.held for seat in pool.seats if seat.held]
    programs = [each.program for each in held] + [each.program for each in line]
    named = {name for program in programs for name in _kinds(program)}
    paces = paces_of(connection, device_type, named)
    if not paces.get(ALL):
        return Outlook(pool, line, paces, {})
    found = simulate(_seats(pool, paces), _queue(line, paces), Random(seed))
    return Outlook(pool, line, paces, found)


def samples(program: Program, paces: Paces) -> int:
    """On how many durations the figures of such a batch rest."""
    known = _known(program, paces) or {ALL: paces.get(ALL, ())}
    return sum(len(seconds) for seconds in known.values())


def _seats(pool: Pool, paces: Paces) -> list[Seat]:
    return [
        Seat(
            seat.device,
            seat.service == "active" and seat.online,
            None if seat.held is None else _held(seat.held, pool.now, paces),
        )
        for seat in pool.seats
    ]


def _held(row: SeatedRow, now: datetime, paces: Paces) -> Held:
    stay = None
    if row.open:
        idle_left = (row.idle_deadline - now).total_seconds() if row.idle_deadline else None
        most = row.idle_timeout_s if idle_left is None else max(0.0, idle_left)
        stay = Stay(paces.get(STAY, ()), most, _since(row.admitted_at, now) or 0.0)
    jobs = math.ceil(row.jobs_left / max(1, row.lanes))
    cap = math.inf
    if row.overrun_deadline is not None:
        cap = (row.overrun_deadline - now).total_seconds()
    return Held(
        row.id,
        _work(row.program, jobs, paces, stay),
        running_s=_since(row.running_since, now),
        priority=row.priority,
        seq=row.seq,
        preemptible=row.preemptible,
        cap_s=cap,
    )


def _since(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())


def _queue(line: Sequence[Queued], paces: Paces) -> list[Waiting | Crowd]:
    """With those between two that were looked up as a crowd."""
    queue: list[Waiting | Crowd] = []
    place, jobs, squares, opens = 0, 0, 0, 0
    for row in line:
        between = row.place - place - 1
        if between:
            queue.append(
                Crowd(
                    between,
                    row.jobs - row.jobs_left - jobs,
                    max(0, row.squares - row.jobs_left**2 - squares),
                    row.opens - row.open - opens,
                    Work(1, paces[ALL], True, paces.get(GAP, ()), _stay(row, paces)),
                )
            )
        queue.append(_waiting(row, paces))
        place, jobs, squares, opens = row.place, row.jobs, row.squares, row.opens
    return queue


def _waiting(row: Queued, paces: Paces) -> Waiting:
    work = _work(row.program, row.jobs_left, paces, _stay(row, paces) if row.open else None)
    return Waiting(row.id, work, row.priority, row.seq, row.device, row.lanes)


def _stay(row: Queued, paces: Paces) -> Stay:
    return Stay(paces.get(STAY, ()), row.idle_timeout_s)


def _work(program: Program, jobs: int, paces: Paces, stay: Stay | None) -> Work:
    """By its own program, if enough is known of that."""
    known, gaps = _known(program, paces), paces.get(GAP, ())
    if not known:
        return Work(jobs, paces.get(ALL, ()), True, gaps, stay)
    if len(known) == 1:
        return Work(jobs, next(iter(known.values())), False, gaps, stay)
    shares = _kinds(program)
    total = sum(shares.values())
    mixed: list[float] = []
    for name, seconds in known.items():
        count = max(1, round(KEPT * shares[name] / total))
        ordered = sorted(seconds)
        mixed += (ordered[n * len(seconds) // count] for n in range(count))
    return Work(jobs, tuple(mixed), False, gaps, stay)


def _known(program: Program, paces: Paces) -> dict[str, tuple[float, ...]]:
    """Empty unless enough is known of all kinds of its jobs."""
    found = {name: paces.get(name, ()) for name in _kinds(program)}
    return found if min(map(len, found.values())) >= KNOWN_FROM else {}


@lru_cache(maxsize=1000)
def _kinds(program: Program) -> Mapping[str, int]:
    """How many of its jobs have which fingerprint, the most frequent ones."""
    before, counts = 0, []
    for runs, upto in zip(program.runs, program.upto, strict=True):
        counts.append((upto - before, runs))
        before = upto
    kinds: list[tuple[int, int | None]] = [*sorted(counts, reverse=True)[:_KINDS_MOST]]
    if program.jobs > before or not kinds:
        kinds.append((max(1, program.jobs - before), None))
    return {fingerprint(program.digest, runs): count for count, runs in kinds}
