"""The lanes of devices, put together for one project: what is shown, and nothing about how."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final, NamedTuple
from uuid import UUID

from orchestrator.domain import lane as rules
from orchestrator.domain.lane import Outage, Span, Stay, Told, Use
from orchestrator.services.estimate import Next, next_up
from orchestrator.store import lanes as store
from orchestrator.store.lanes import EVENTS_MOST, LaneRow, Line, Ran, Sitter
from orchestrator.store.listings_devices import status_of
from orchestrator.store.listings_reading import Reader
from schemas.estimate import Quantiles

TICKS: Final = {
    10: timedelta(minutes=2),
    60: timedelta(minutes=10),
    360: timedelta(hours=1),
    1440: timedelta(hours=3),
}
"""The minutes that can be looked at, and how far apart the marks of each are."""
RECENT_S: Final = 30.0
"""So long a strip may be old while nothing has changed on its device."""
KEPT: Final = 32
NEXT_SHOWN, NEXT_ASKED = 3, 20
HUES: Final = 6
JOBS_MOST: Final = 10_000
NARROW: Final = 0.004
"""Stays of less than this share of a strip are drawn together where they touch."""
REACHABLE: Final = 8
"""Of the stays in a strip, the newest can be reached by keyboard; the list of batches has all."""


@dataclass(frozen=True, slots=True)
class Block:
    """Stays as they are drawn: from `x`, `width` wide, in shares of the strip; `busy`: the share
    of it in which jobs ran. `batch`: where it is a single one of the project; `hue`: None for
    those of others."""

    begin: datetime
    end: datetime
    x: float
    width: float
    busy: float
    jobs: int
    batches: int
    hue: int | None
    batch: UUID | None
    name: str | None
    reachable: bool = False


class Band(NamedTuple):
    """In the background. `kind`: as an outage's, or `unknown`."""

    kind: str
    begin: datetime
    end: datetime
    reason: str | None
    x: float
    width: float


class Strip(NamedTuple):
    blocks: Sequence[Block]
    bands: Sequence[Band]
    use: Use
    span: Span


class Upcoming(NamedTuple):
    batch: UUID | None
    name: str | None
    jobs: int | None
    start: Quantiles | None


class Lane(NamedTuple):
    row: LaneRow
    status: str
    next: Sequence[Upcoming]
    strip: Strip


class Group(NamedTuple):
    """The devices of a type, which share a queue."""

    id: int
    type: str
    line: Line
    lanes: Sequence[Lane]


class View(NamedTuple):
    """`shown` tells which devices these are; `more`: there may be others, which have no lane."""

    minutes: int
    groups: Sequence[Group]
    span: Span
    ticks: Sequence[tuple[datetime, float]]
    shown: str
    more: bool


@dataclass(frozen=True, slots=True)
class History:
    """Of some devices; the same for every project."""

    state: object
    span: Span
    told: Mapping[int, Sequence[Told]]
    stays: Mapping[int, Sequence[tuple[Stay, Ran]]]
    sitters: Mapping[UUID, Sitter]


def view(reader: Reader, project: UUID, minutes: int) -> View:
    rows = store.lanes(reader, project)
    lines = store.lines(reader, {row.type for row in rows})
    history = _history(reader, rows, minutes)
    groups = []
    for device_type, of_type in groupby(rows, lambda row: row.type):
        listed, line = list(of_type), lines[device_type]
        ahead = next_up(reader, project, device_type, most=NEXT_ASKED) if line.waiting else []
        names = store.sitters(reader, [each.batch_id for each in ahead if each.batch_id])
        shown = [
            Lane(
                row,
                status_of(row.service, row.online).value,
                list(_upcoming(row, ahead, names)),
                _strip(row, history, project),
            )
            for row in listed
        ]
        groups.append(Group(listed[0].id, device_type, line, shown))
    span = history.span
    ticks = [(at, span.share(at)) for at in rules.ticks(span, TICKS[minutes])]
    more = len(rows) >= store.DEVICES_MOST
    return View(minutes, groups, span, ticks, digest(rows), more)


def digest(rows: Iterable[LaneRow]) -> str:
    return hashlib.sha256(" ".join(str(row.id) for row in rows).encode()).hexdigest()[:16]


def _upcoming(
    row: LaneRow, ahead: Iterable[Next], names: Mapping[UUID, Sitter]
) -> Iterator[Upcoming]:
    may = (each for each in ahead if each.device in (None, row.name))
    for each, _ in zip(may, range(NEXT_SHOWN), strict=False):
        known = names.get(each.batch_id) if each.batch_id else None
        if known is None:
            yield Upcoming(None, None, None, each.start)
        else:
            yield Upcoming(each.batch_id, known.name, known.jobs_total, each.start)


_kept: dict[tuple[str, int, tuple[int, ...]], History] = {}


def _history(reader: Reader, rows: Sequence[LaneRow], minutes: int) -> History:
    """Read again once something has changed, or after a while: then jobs have gone on."""
    place = (str(reader.engine.url), minutes, tuple(row.id for row in rows))
    state = [(row.fence, row.service, row.online, row.seat) for row in rows]
    now = datetime.now(UTC)
    known = _kept.get(place)
    if known is not None and known.state == state:
        age_s = (now - known.span.end).total_seconds()
        if 0 <= age_s < RECENT_S:
            return known
    span = Span(now - timedelta(minutes=minutes), now)
    found = _read(reader, rows, span, state)
    while len(_kept) >= KEPT:
        _kept.pop(next(iter(_kept)), None)
    _kept[place] = found
    return found


def _read(reader: Reader, rows: Sequence[LaneRow], span: Span, state: object) -> History:
    told = store.told(reader, [row.id for row in rows], span.begin)
    sat = {each.batch for events in told.values() for each in events if each.batch}
    sitters = store.sitters(reader, sat)
    ended = {batch: each.ended_at for batch, each in sitters.items() if each.ended_at}
    stays = [
        (row.id, stay)
        for row in rows
        for stay in rules.stays(told.get(row.id, ()), ended, row.seat)
        if span.clip(stay.begin, stay.end)
    ]
    found: dict[int, list[tuple[Stay, Ran]]] = {}
    for (device, stay), ran in zip(stays, _ran(reader, stays, sitters, span), strict=True):
        found.setdefault(device, []).append((stay, ran))
    return History(state, span, told, found, sitters)


def _ran(
    reader: Reader,
    stays: Sequence[tuple[int, Stay]],
    sitters: Mapping[UUID, Sitter],
    span: Span,
) -> list[Ran]:
    """Where too many jobs would have to be looked at, short stays are taken to be as busy as the
    mean of every so manieth of them."""
    lasted = [span.length(stay.begin, stay.end) for _, stay in stays]
    sizes = [_jobs(sitters.get(stay.batch)) for _, stay in stays]
    short = [n for n, length in enumerate(lasted) if length < NARROW * span.seconds]
    chosen = {short[n] for n in rules.sampled([sizes[n] for n in short], JOBS_MOST)}
    left_out = set(short) - chosen
    asked = [n for n in range(len(stays)) if n not in left_out]
    told = dict(zip(asked, store.ran(reader, [stays[n] for n in asked], span), strict=True))
    held = sum(lasted[n] for n in chosen)
    mean = sum(told[n].seconds for n in chosen) / held if held > 0 else 0.0
    return [told.get(n) or Ran(sizes[n], mean * lasted[n]) for n in range(len(stays))]


def _jobs(sitter: Sitter | None) -> int:
    return 0 if sitter is None else sitter.jobs_total


def _strip(row: LaneRow, history: History, project: UUID) -> Strip:
    told, span = history.told.get(row.id, ()), history.span
    stays = history.stays.get(row.id, ())
    known = span
    if len(told) >= EVENTS_MOST:
        known = Span(max(span.begin, min(each.at for each in told[1:])), span.end)
    outages = rules.outages(told, known, service=row.service, online=row.online)
    if known.begin > span.begin:
        outages.insert(0, Outage("unknown", span.begin, known.begin, None))
    bands = [Band(*each, span.share(each.begin), _width(span, *each[1:3])) for each in outages]
    blocks = list(_packed(_block(each, history, project) for each in stays))
    newest = [n for n, block in enumerate(blocks) if block.batch is not None][-REACHABLE:]
    for n in newest:
        blocks[n] = replace(blocks[n], reachable=True)
    used = rules.use(((stay, ran.seconds) for stay, ran in stays), known)
    return Strip(blocks, bands, used, known)


def _width(span: Span, begin: datetime, end: datetime) -> float:
    return span.share(end) - span.share(begin)


def _block(stayed: tuple[Stay, Ran], history: History, project: UUID) -> Block:
    stay, ran = stayed
    span = history.span
    begin, end = span.clip(stay.begin, stay.end) or (span.end, span.end)
    lasted = (end - begin).total_seconds()
    sitter = history.sitters.get(stay.batch)
    own = sitter is not None and sitter.project_id == project
    return Block(
        begin=begin,
        end=end,
        x=span.share(begin),
        width=_width(span, begin, end),
        busy=min(1.0, ran.seconds / lasted) if lasted > 0 else 0.0,
        jobs=ran.jobs,
        batches=1,
        hue=stay.batch.int % HUES if own else None,
        batch=stay.batch if own else None,
        name=sitter.name if own and sitter is not None else None,
    )


def _packed(blocks: Iterable[Block]) -> Iterator[Block]:
    """Too narrow to be told apart, and side by side: one block, however many there were."""
    last: Block | None = None
    for block in blocks:
        if last is not None and _touch(last, block):
            last = _joined(last, block)
            continue
        if last is not None:
            yield last
        last = block
    if last is not None:
        yield last


def _touch(one: Block, other: Block) -> bool:
    near = other.x - (one.x + one.width) < NARROW / 2
    alike = (one.hue is None) == (other.hue is None)
    return near and alike and other.width < NARROW and (one.width < NARROW or one.batches > 1)


def _joined(one: Block, other: Block) -> Block:
    end = max(one.end, other.end)
    width = max(one.x + one.width, other.x + other.width) - one.x
    busy = one.busy * one.width + other.busy * other.width
    return replace(
        one,
        end=end,
        width=width,
        busy=min(1.0, busy / width) if width > 0 else 0.0,
        jobs=one.jobs + other.jobs,
        batches=one.batches + other.batches,
        batch=None,
        name=None,
    )
