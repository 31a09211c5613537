"""What charts show, as shares of their area: the templates draw it. Nothing here does I/O."""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, NamedTuple

TOP: Final = 16
BINS: Final = 32
POINTS_MOST: Final = 300
COUNTERS: Final = ("counter", "counts")
LONGEST_KEY: Final = 4096
_LABEL: Final = 16
_LARGEST: Final = 1e300

Counts = Mapping[str, int]


def counts_in(result: Any) -> dict[str, int]:
    """How often each outcome was seen; empty for a result that does not say."""
    if not isinstance(result, dict):
        return {}
    for name in COUNTERS:
        found = result.get(name)
        if isinstance(found, dict) and found and all(map(_is_count, found.items())):
            return {outcome: int(n) for outcome, n in found.items() if n}
    return {}


def _is_count(item: tuple[str, Any]) -> bool:
    outcome, n = item
    whole = isinstance(n, int) and not isinstance(n, bool)
    return whole and 0 <= n < 2**63 and len(outcome) <= LONGEST_KEY


class Bar(NamedTuple):
    """`length`: in percent of the longest; `share`: in percent of all."""

    outcome: str
    label: str
    seen: int
    share: float
    length: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """`others`: how many outcomes are not among the bars, and `rest`: their counts."""

    bars: list[Bar]
    total: int
    outcomes: int
    others: int
    rest: int

    @property
    def rest_share(self) -> float:
        return 100 * self.rest / self.total

    @property
    def left(self) -> int:
        """Where the bars begin, in percent of a card on a phone: behind the longest label."""
        named = max(len(bar.label) for bar in self.bars)
        return min(
            40, 4 + round(2.2 * max(named, len(f"{self.others:,} oth") if self.others else 0))
        )


def histogram(counts: Counts, top: int = TOP) -> Histogram | None:
    """The most frequent first; None where there is nothing to draw."""
    total = sum(counts.values())
    if not total:
        return None
    most = heapq.nsmallest(top, counts.items(), key=lambda item: (-item[1], item[0]))
    tallest = most[0][1]
    bars = [
        Bar(outcome, shortened(outcome), n, 100 * n / total, 100 * n / tallest)
        for outcome, n in most
    ]
    shown = sum(bar.seen for bar in bars)
    return Histogram(bars, total, len(counts), len(counts) - len(bars), total - shown)


def shortened(outcome: str, longest: int = _LABEL) -> str:
    """Its beginning and its end, where all of it would be too long."""
    if len(outcome) <= longest:
        return outcome
    head = (longest - 1) // 2
    return f"{outcome[:head]}…{outcome[head + 1 - longest :]}"


class Column(NamedTuple):
    """In percent: where it begins, how wide it is, how high."""

    x: float
    width: float
    height: float


def spark(counts: Counts) -> list[Column]:
    """A histogram to compare at a glance: bitstrings in the order of their numbers, as many side
    by side as there is room for, so that a place means the same in every job."""
    if not counts:
        return []
    heights = _binned(counts) or sorted(counts.values(), reverse=True)[:BINS]
    width, tallest = 100 / max(len(heights), 8), max(heights)
    return [
        Column(round(place * width, 2), round(width * 0.8, 2), round(100 * n / tallest, 1))
        for place, n in enumerate(heights)
        if n
    ]


def _binned(counts: Counts) -> list[int]:
    """Empty unless all outcomes are bitstrings of one length."""
    bits = len(next(iter(counts)))
    if not bits or any(len(each) != bits or not {*each} <= {"0", "1"} for each in counts):
        return []
    bins = [0] * min(BINS, 2**bits)
    drop = max(0, bits - 5)
    for outcome, n in counts.items():
        bins[int(outcome, 2) >> drop] += n
    return bins


class Mark(NamedTuple):
    """In percent of the area, from its left and from its top."""

    x: float
    y: float
    ordinal: int
    value: float


class Tick(NamedTuple):
    at: float
    words: str


@dataclass(frozen=True, slots=True)
class Convergence:
    """`line` and `best` are points of polylines in an area of 1000 by 1000; `folded`: that a mark
    stands for the best of several jobs."""

    marks: list[Mark]
    line: str
    best: str
    xs: list[Tick]
    ys: list[Tick]
    first: Mark
    last: Mark
    lowest: Mark
    jobs: int
    folded: bool


def convergence(points: Sequence[tuple[int, float]]) -> Convergence | None:
    """Of (ordinal, objective), by ordinal. The lower, the better."""
    known = [(ordinal, value) for ordinal, value in points if abs(value) < _LARGEST]
    if not known:
        return None
    folded = _folded(known)
    lows = [*accumulate((value for _, value in folded), min)]
    ys = ticks(min(value for _, value in folded), max(value for _, value in folded))
    first, last = known[0][0], known[-1][0]

    def across(ordinal: float) -> float:
        return 50.0 if first == last else 100 * (ordinal - first) / (last - first)

    def down(value: float) -> float:
        return round(100 * (ys[-1] - value) / (ys[-1] - ys[0]), 3)

    marks = [Mark(round(across(o), 3), down(v), o, v) for o, v in folded]
    steps = _stairs([(mark.x, down(low)) for mark, low in zip(marks, lows, strict=True)])
    return Convergence(
        marks=marks,
        line=_polyline([(mark.x, mark.y) for mark in marks]),
        best=_polyline(steps),
        xs=[Tick(across(at), f"{at:g}") for at in _whole_ticks(first, last)],
        ys=[Tick(down(at), figure(at)) for at in ys],
        first=Mark(0, 0, *known[0]),
        last=Mark(0, 0, *known[-1]),
        lowest=min(marks, key=lambda mark: mark.value),
        jobs=len(known),
        folded=len(folded) < len(known),
    )


def _folded(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Of each few neighbours the best, where there are more than can be told apart."""
    each = math.ceil(len(points) / POINTS_MOST)
    return [
        min(points[start : start + each], key=lambda point: point[1])
        for start in range(0, len(points), each)
    ]


def _stairs(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The best holds until there is a better one."""
    corners = [points[0]]
    for x, y in points[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return corners


def _polyline(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{10 * x:.1f},{10 * y:.1f}" for x, y in points)


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers, at least two, of which the first is not above `low`, nor the last below
    `high`."""
    span = high - low
    if span <= max(abs(high) * 1e-12, 1 / _LARGEST):
        span = max(abs(high), 1 / _LARGEST) if high else 1.0
        low, high = low - span / 2, high + span / 2
    rough = span / wanted
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next(m for m in (1, 2, 2.5, 5, 10, 20) if m * size >= rough * (1 - 1e-9))
    begin, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [n * step for n in range(begin, max(end, begin + 1) + 1)]


def _whole_ticks(first: int, last: int) -> list[int]:
    """Ordinals, between those of the first and the last."""
    step = max(1, math.ceil(ticks(0, last - first, 6)[1])) if last > first else 1
    return [at for at in range(math.ceil(first / step) * step, last + 1, step) if at >= first]


def figure(value: float) -> str:
    """At most six digits that count."""
    return f"{value:.6g}".replace("-", "−")


class Span(NamedTuple):
    """In percent of the whole time: where it begins and how wide it is drawn."""

    what: str
    words: str
    x: float
    width: float
    seconds: float


NARROWEST: Final = 1.2


def timeline(stretches: Sequence[tuple[str, str, float, float]]) -> list[Span]:
    """Of (what, words, begin, end) in seconds, in order. What is too short to be seen is drawn a
    little wider than it is."""
    if not stretches:
        return []
    lengths = [max(0.0, end - begin) for _, _, begin, end in stretches]
    total = sum(lengths) or 1.0
    drawn = [max(NARROWEST, 100 * length / total) for length in lengths]
    places = [0.0, *accumulate(drawn)]
    scale = 100 / places[-1]
    return [
        Span(what, words, place * scale, width * scale, length)
        for (what, words, _, _), place, width, length in zip(
            stretches, places[:-1], drawn, lengths, strict=True
        )
    ]
