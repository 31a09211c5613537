"""What a device did lately: who sat on it and for how long, when it was out of service, and how
much of its time was put to use. Moments are compared, never read off a clock."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

SEATED: Final = frozenset({"admitted", "joined"})
LEFT: Final = frozenset({"drained", "idled", "overran", "canceled", "preempted", "paused", "broke"})
SERVICE: Final = frozenset({"active", "draining", "paused", "retired"})
HEARD: Final = frozenset({"online", "offline"})
NOTHING: Final[Mapping[str, Any]] = {}


class Told(NamedTuple):
    """An event of a device, as it is stored: its own ones have no batch, but for `offline`."""

    at: datetime
    kind: str
    batch: UUID | None
    detail: Mapping[str, Any] | None


class Stay(NamedTuple):
    """From the moment a batch got the seat; `end`: None while it may still have it."""

    batch: UUID
    begin: datetime
    end: datetime | None


class Outage(NamedTuple):
    """`kind`: offline, paused or draining. `reason`: the operator's."""

    kind: str
    begin: datetime
    end: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """What is looked at."""

    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.begin).total_seconds()

    def clip(self, begin: datetime, end: datetime | None) -> tuple[datetime, datetime] | None:
        """The part of it that is within; None: nothing is."""
        first, last = max(begin, self.begin), min(end or self.end, self.end)
        return (first, last) if first < last else None

    def length(self, begin: datetime, end: datetime | None) -> float:
        """In seconds, of the part that is within."""
        within = self.clip(begin, end)
        return 0.0 if within is None else (within[1] - within[0]).total_seconds()

    def share(self, at: datetime) -> float:
        """Where it is, from 0 at the beginning to 1 at the end."""
        return (at - self.begin).total_seconds() / self.seconds if self.seconds > 0 else 0.0


class Use(NamedTuple):
    """Shares from 0 to 1. `utilisation`: of the time, in which a job ran. `overhead`: of the time
    that batches had the seat, in which none did; None where nobody had it."""

    utilisation: float
    overhead: float | None


def stays(told: Iterable[Told], ended: Mapping[UUID, datetime], seat: UUID | None) -> list[Stay]:
    """Oldest first, as `told` is. `ended`: when batches were over, those that are; `seat`: who has
    it now. Who comes next ends every stay before, whatever else is known."""
    found: list[Stay] = []
    for each in told:
        open_end = found[-1] if found and found[-1].end is None else None
        if each.kind in SEATED and each.batch is not None:
            if open_end is not None:
                found[-1] = open_end._replace(end=_end(open_end, ended, each.at))
            found.append(Stay(each.batch, each.at, None))
        elif each.kind in LEFT and open_end is not None and each.batch == open_end.batch:
            found[-1] = open_end._replace(end=each.at)
    if found and found[-1].end is None and found[-1].batch != seat:
        found[-1] = found[-1]._replace(end=_end(found[-1], ended, None))
    return found


def _end(stay: Stay, ended: Mapping[UUID, datetime], at_latest: datetime | None) -> datetime | None:
    over = ended.get(stay.batch)
    if over is None or over < stay.begin:
        return at_latest
    return over if at_latest is None else min(over, at_latest)


def outages(told: Sequence[Told], span: Span, *, service: str, online: bool) -> list[Outage]:
    """Oldest first. `service` and `online` are as of now: what no event of the span changed has
    been so all the time. Before a device was heard of for the first time it was not away."""
    marks = [each for each in told if _is_own(each) and span.begin <= each.at <= span.end]
    found: list[Outage] = []
    for state, begin, end in _states(marks, span, service, online):
        kind = _kind_of(*state[:2])
        if kind is None or begin >= end:
            continue
        reason = None if kind == "offline" else state[2]
        last = found[-1] if found else None
        if last is not None and (last.kind, last.end, last.reason) == (kind, begin, reason):
            found[-1] = last._replace(end=end)
        else:
            found.append(Outage(kind, begin, end, reason))
    return found


State = tuple[str, bool, str | None]


def _states(
    marks: Sequence[Told], span: Span, service: str, online: bool
) -> Iterator[tuple[State, datetime, datetime]]:
    first_service = next((m for m in marks if m.kind in SERVICE), None)
    first_heard = next((m for m in marks if m.kind in HEARD), None)
    if first_service is not None:
        service = (first_service.detail or NOTHING).get("was", "active")
    if first_heard is not None:
        online = (first_heard.detail or NOTHING).get("was", "online") == "online"
        if (first_heard.detail or NOTHING).get("was") == "new":
            online = True
    reason: str | None = None
    since = span.begin
    for mark in marks:
        yield (service, online, reason), since, mark.at
        since = mark.at
        if mark.kind in SERVICE:
            service, reason = mark.kind, (mark.detail or NOTHING).get("reason")
        else:
            online = mark.kind == "online"
    yield (service, online, reason), since, span.end


def _is_own(told: Told) -> bool:
    return told.kind in HEARD or (told.kind in SERVICE and told.batch is None)


def _kind_of(service: str, online: bool) -> str | None:
    if service == "paused":
        return "paused"
    if not online:
        return "offline"
    return "draining" if service == "draining" else None


def use(stays: Iterable[tuple[Stay, float]], span: Span) -> Use:
    """Of stays, each with the seconds in which its jobs ran within the span. Clocks of devices may
    be off by a little: no stay was busier than it was long."""
    held = busy = 0.0
    for stay, ran_s in stays:
        lasted = span.length(stay.begin, stay.end)
        held += lasted
        busy += min(max(ran_s, 0.0), lasted)
    total = span.seconds
    return Use(
        min(1.0, busy / total) if total > 0 else 0.0,
        (held - busy) / held if held > 0 else None,
    )


def sampled(sizes: Sequence[int], most: int) -> range:
    """Every so manieth of them, so that those chosen are about `most` in size together."""
    return range(0, len(sizes), max(1, math.ceil(sum(sizes) / most)))


def ticks(span: Span, every: timedelta) -> list[datetime]:
    """Full multiples of `every` within, but for the very edges, where no label would fit."""
    step = every.total_seconds()
    at = span.begin.timestamp() // step * step
    found = []
    while at < span.end.timestamp():
        moment = datetime.fromtimestamp(at, span.begin.tzinfo)
        if 0.02 < span.share(moment) < 0.98:
            found.append(moment)
        at += step
    return found
