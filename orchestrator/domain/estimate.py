"""When a batch will begin and end: the queue ahead of it, played through many times by lot.

All times are seconds from now. How long a job takes is drawn from what jobs like it took before.
What nobody can know is left out: who will come later with a higher priority, and what will fail.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import mul
from random import Random
from typing import Final, NamedTuple

DRAWS: Final = 100
FURTHEST: Final = 3e9
KNOWN_FROM: Final = 3
"""So many durations of a program are worth more than those of all programs."""
_ADDED_ONE_BY_ONE: Final = 8
"""The sum of more jobs than this is drawn at once: it is close to normal."""
Lot = list[float]
"""One figure for each draw."""


@dataclass(frozen=True, slots=True)
class Stay:
    """Of an open batch. `past`: how long such ones kept their seat; `so_far`: how long this one
    has. `most`: how long it may be idle from now, or from its last job on."""

    past: tuple[float, ...]
    most: float
    so_far: float = 0.0


@dataclass(frozen=True, slots=True)
class Work:
    """`seconds`: how long such jobs took; empty: nothing is known. `alike`: they are of any
    program, so that one draw stands for all jobs of this one. `gaps`: between two jobs, of which
    the mean counts."""

    jobs: int
    seconds: tuple[float, ...]
    alike: bool = False
    gaps: tuple[float, ...] = ()
    stay: Stay | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """`device`: the only one that it may have."""

    batch: object
    work: Work
    priority: int = 0
    seq: int = 0
    device: str | None = None
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Crowd:
    """Many that wait, told together: `jobs` of `batches`; `squares` is the sum of the squares of
    each one's jobs. `work`: of one job like theirs, and of one open stay."""

    batches: int
    jobs: int
    squares: int
    opens: int
    work: Work


@dataclass(frozen=True, slots=True)
class Held:
    """A batch on its seat. `running_s`: how long its present job has run; None: none is said to.
    `cap_s`: it is ended then, whatever it does."""

    batch: object
    work: Work
    running_s: float | None = None
    priority: int = 0
    seq: int = 0
    preemptible: bool = False
    cap_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Seat:
    """`takes`: whether it takes another batch once it is free: not paused, draining, offline."""

    device: str
    takes: bool = True
    held: Held | None = None


class Times(NamedTuple):
    p50: float
    p90: float


class Expected(NamedTuple):
    start: Times
    end: Times


class _Dice:
    """By lot, and what is cast once: `doubt` is how far the true mean may be from that of the few
    durations that are known. In one draw it is the same for all jobs of a program: it does not
    even out over a long queue."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._lots: dict[tuple[Work, int], Lot] = {}
        self._doubts: dict[tuple[float, ...], Lot] = {}

    def jobs_last(self, work: Work, jobs: int) -> Lot:
        if (work, jobs) not in self._lots:
            self._lots[work, jobs] = _jobs_last(work, jobs, self.rng)
        turn, lot = self.rng.randrange(DRAWS), self._lots[work, jobs]
        lot = lot[turn:] + lot[:turn]
        return lot if work.alike else [*map(mul, lot, self.doubt(work.seconds))]

    def doubt(self, seconds: tuple[float, ...]) -> Lot:
        if seconds not in self._doubts:
            mean, deviation = _spread(seconds)
            off = deviation / mean / math.sqrt(len(seconds)) if mean else 0.0
            self._doubts[seconds] = [max(0.0, self.rng.gauss(1.0, off)) for _ in range(DRAWS)]
        return self._doubts[seconds]


def simulate(
    seats: Sequence[Seat], queue: Sequence[Waiting | Crowd], rng: Random
) -> dict[object, Expected]:
    """By batch: of those in the queue, in its order, and of those on a seat (from now to their
    end). One that no device can take as things stand is not in it."""
    dice, yielding = _Dice(rng), _yielding(seats, queue)
    ends: dict[object, Lot] = {}
    clocks: dict[str, Lot] = {}
    for seat in seats:
        left = _left(seat.held, dice, first_only=seat in yielding)
        if seat.held is not None and seat not in yielding:
            ends[seat.held.batch] = [*map(max, ends.get(seat.held.batch, left), left)]
        if seat.takes:
            clocks[seat.device] = left
    found = {batch: Expected(Times(0.0, 0.0), times(lot)) for batch, lot in ends.items()}
    line = sorted([*queue, *map(_again, yielding)], key=_rank(queue)) if yielding else queue
    return found | _play(clocks, line, dice)


def times(lot: Sequence[float]) -> Times:
    """Nearest rank: a figure that was drawn. Never below now, nor where no calendar goes."""
    ordered = sorted(min(max(0.0, each), FURTHEST) for each in lot)
    return Times(*(ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.9)))


def _play(
    clocks: Mapping[str, Lot], line: Sequence[Waiting | Crowd], dice: _Dice
) -> dict[object, Expected]:
    """Each in its turn takes the device that is free first, in each draw."""
    names = list(clocks)
    rows = [list(row) for row in zip(*clocks.values(), strict=True)]
    found: dict[object, Expected] = {}
    for each in line if rows else ():
        if isinstance(each, Crowd):
            _pass(rows, each, dice)
            continue
        may = [n for n, name in enumerate(names) if each.device in (None, name)]
        if not may:
            continue
        jobs = dice.jobs_last(each.work, each.work.jobs)
        lasts = _with_stay(jobs, each.work.stay, dice.rng)
        lanes = min(each.lanes, len(may), max(1, each.work.jobs))
        spans = [_take(row, may, lanes, last) for row, last in zip(rows, lasts, strict=True)]
        starts, ends = zip(*spans, strict=True)
        found[each.batch] = Expected(times(starts), times(ends))
    return found


def _take(row: Lot, may: Sequence[int], lanes: int, last: float) -> tuple[float, float]:
    """Start and end. Over several lanes the work is spread so that all of them end at once."""
    if lanes == 1:
        first = may[0] if len(may) == 1 else min(may, key=row.__getitem__)
        start = row[first]
        row[first] = start + last
        return start, row[first]
    chosen = sorted(may, key=row.__getitem__)[:lanes]
    start, free, level = row[chosen[0]], 0.0, math.inf
    for n, lane in enumerate(chosen):
        if level <= row[lane]:
            break
        free += row[lane]
        level = (last + free) / (n + 1)
    for lane in chosen:
        row[lane] = max(row[lane], level)
    return start, level


def _pass(rows: list[Lot], crowd: Crowd, dice: _Dice) -> None:
    """A crowd keeps all devices busy; as a sum of so many, it is close to normal."""
    mean, deviation = _spread(crowd.work.seconds)
    gap, _ = _spread(crowd.work.gaps)
    stay = crowd.work.stay
    kept, wide = _spread(stay.past or (0.0, stay.most)) if stay else (0.0, 0.0)
    total = crowd.jobs * (mean + gap) + crowd.opens * kept
    spread = math.sqrt(crowd.squares * deviation**2 + crowd.opens * wide**2)
    for row, doubt in zip(rows, dice.doubt(crowd.work.seconds), strict=True):
        last = max(0.0, dice.rng.gauss(total * doubt, spread))
        _take(row, range(len(row)), len(row), last)


def _jobs_last(work: Work, jobs: int, rng: Random) -> Lot:
    if not jobs or not work.seconds:
        return [0.0] * DRAWS
    gaps = (jobs - 1) * _spread(work.gaps)[0]
    if work.alike:
        return [gaps + jobs * seconds for seconds in rng.choices(work.seconds, k=DRAWS)]
    if jobs <= _ADDED_ONE_BY_ONE:
        drawn = (rng.choices(work.seconds, k=DRAWS) for _ in range(jobs))
        return [gaps + sum(each) for each in zip(*drawn, strict=True)]
    mean, deviation = _spread(work.seconds)
    least, total, spread = jobs * min(work.seconds), jobs * mean, math.sqrt(jobs) * deviation
    return [gaps + max(least, rng.gauss(total, spread)) for _ in range(DRAWS)]


def _with_stay(lot: Lot, stay: Stay | None, rng: Random) -> Lot:
    """An open batch stays as long as others did that had stayed so long. Where there is no such
    one, its owner comes back at any moment before it times out, and closes it."""
    if stay is None:
        return lot
    longer = [past - stay.so_far for past in stay.past if past > stay.so_far]
    if longer:
        return [*map(max, lot, rng.choices(longer, k=DRAWS))]
    return [jobs + rng.random() * max(0.0, stay.most) for jobs in lot]


def _left(held: Held | None, dice: _Dice, *, first_only: bool) -> Lot:
    """Until the seat is free; `first_only`: until its present job is over."""
    if held is None:
        return [0.0] * DRAWS
    work, running = held.work, held.running_s is not None and held.work.jobs > 0
    lot = dice.jobs_last(work, min(1, work.jobs) if first_only else work.jobs - running)
    if running:
        rest = _rest(work.seconds, held.running_s or 0.0, dice.rng)
        lot = rest if first_only else [*map(sum, zip(lot, rest, strict=True))]
    if not first_only:
        lot = _with_stay(lot, work.stay, dice.rng)
    return [min(each, max(0.0, held.cap_s)) for each in lot]


def _rest(seconds: Sequence[float], running_s: float, rng: Random) -> Lot:
    """Of a job that has run so long. One that outran all before may take as long again."""
    longer = [each - running_s for each in seconds if each > running_s]
    if longer:
        return rng.choices(longer, k=DRAWS)
    return [rng.random() * max(0.0, running_s) for _ in range(DRAWS)]


def _yielding(seats: Sequence[Seat], queue: Sequence[Waiting | Crowd]) -> list[Seat]:
    """Seats that go to a higher priority once their present job is over: the least important and
    youngest first, no more than are wanted."""
    free = sum(seat.takes and seat.held is None for seat in seats)
    wanting = [each.priority for each in queue if isinstance(each, Waiting)][free:]
    may = [
        (seat.held.priority, -seat.held.seq, n)
        for n, seat in enumerate(seats)
        if seat.takes and seat.held is not None and seat.held.preemptible
    ]
    asked = zip(sorted(may), wanting, strict=False)
    return [seats[n] for (priority, _, n), wants in asked if wants > priority]


def _again(seat: Seat) -> Waiting:
    held = seat.held
    assert held is not None
    work = replace(held.work, jobs=max(0, held.work.jobs - 1))
    return Waiting(held.batch, work, held.priority, held.seq)


def _rank(queue: Sequence[Waiting | Crowd]) -> Callable[[Waiting | Crowd], tuple[int, int]]:
    """The order of the queue; a crowd stands right behind the one before it."""
    places: dict[int, tuple[int, int]] = {}
    last = (-(2**31), 0)
    for each in queue:
        if isinstance(each, Waiting):
            last = (-each.priority, each.seq)
        places[id(each)] = last

    def rank(each: Waiting | Crowd) -> tuple[int, int]:
        if id(each) in places:
            return places[id(each)]
        assert isinstance(each, Waiting)
        return (-each.priority, each.seq)

    return rank


def _spread(seconds: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation."""
    if not seconds:
        return 0.0, 0.0
    mean = sum(seconds) / len(seconds)
    return mean, math.sqrt(sum((each - mean) ** 2 for each in seconds) / len(seconds))
