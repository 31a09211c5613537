"""What a list of batches is narrowed to: as its address says it, and as its form shows it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Request

from orchestrator.errors import Flaw, Rejected
from orchestrator.store.listings import BatchFilter
from schemas.words import BatchStatus

LONGEST: Final = 200
_PLAIN: Final = ("device_type", "tag", "name")
_DAYS: Final = ("since", "until")


@dataclass(frozen=True)
class Wanted:
    """`fields` are those of the form that say something, in its own order: equal filters have
    equal addresses."""

    fields: tuple[tuple[str, str], ...]
    filter: BatchFilter

    @property
    def query(self) -> str:
        return urlencode(self.fields)

    def get(self, name: str) -> str:
        return next((value for field, value in self.fields if field == name), "")

    @property
    def statuses(self) -> Sequence[str]:
        return [value for field, value in self.fields if field == "status"]

    @property
    def more(self) -> bool:
        """Whether anything but statuses is asked for."""
        return any(field != "status" for field, _ in self.fields)

    def link(self, path: str, **beside: str | None) -> str:
        """To `path`, with the same filter and what is given beside it."""
        given = [*self.fields, *((name, value) for name, value in beside.items() if value)]
        return f"{path}?{urlencode(given)}" if given else path


def wanted_by(request: Request) -> Wanted:
    """A dependency."""
    params = request.query_params
    return read_wanted(params.getlist)


def read_wanted(given: Callable[[str], list[str]]) -> Wanted:
    """`given`: the values of a field. An empty one asks for nothing. Raises Rejected."""

    def one(name: str) -> str:
        value = (given(name) or [""])[-1].strip()
        if len(value) > LONGEST or "\0" in value:
            raise Rejected([Flaw(name, f"must have at most {LONGEST} characters, and no NUL")])
        return value

    statuses = _statuses(given("status"))
    fields = [("status", word) for word in statuses]
    names = (*_PLAIN, "user", "open", *_DAYS)
    fields += [(name, value) for name in names if (value := one(name))]
    found = dict(fields)
    if found.keys() & set(_DAYS) and (zone := one("zone")):
        fields.append(("zone", zone))
    return Wanted(tuple(fields), _filter(found, one("zone"), statuses))


def _statuses(given: Sequence[str]) -> list[str]:
    words = [word.value for word in BatchStatus]
    if unknown := [word for word in given if word and word not in words]:
        known = ", ".join(words)
        raise Rejected([Flaw("status", f"{unknown[0][:50]!r} is none; those are: {known}")])
    return [word for word in words if word in given]


def _filter(found: dict[str, str], zone: str, statuses: list[str]) -> BatchFilter:
    chosen = BatchFilter()
    if statuses:
        chosen["statuses"] = statuses
    for name in _PLAIN:
        if name in found:
            chosen[name] = found[name]
    if "open" in found:
        chosen["open"] = True
    if "user" in found:
        chosen["user"] = _id(found["user"])
    if "since" in found:
        chosen["created_after"] = _midnight("since", found["since"], zone)
    if "until" in found:
        end = _midnight("until", found["until"], zone, days=1)
        chosen["created_before"] = end - timedelta(microseconds=1)
    return chosen


def _id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise Rejected([Flaw("user", "must be the id of a user; choose one of the list")]) from None


def _midnight(name: str, value: str, zone: str, days: int = 0) -> datetime:
    """As that day begins in the zone, or `days` later."""
    try:
        day = date.fromisoformat(value) + timedelta(days=days)
        return datetime.combine(day, time(), _zone(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        why = f"must be a day such as 2026-01-31, got {value[:50]!r}"
        raise Rejected([Flaw(name, why)]) from None


def _zone(name: str) -> tzinfo:
    """UTC where none is given, or the server knows none of that name."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC
