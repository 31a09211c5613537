"""What an act takes at once: the batches that were chosen, or the newest of a whole filter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from orchestrator.api.portal.filters import Wanted, read_wanted
from orchestrator.errors import Flaw, Rejected
from orchestrator.store.listings import BatchFilter
from orchestrator.store.listings_portal import Line, count_matching, list_lines
from orchestrator.store.listings_reading import Reader, number_in

CHOSEN_MOST: Final = 1000
COUNTED_MOST: Final = 10_000


@dataclass(frozen=True)
class Asked:
    """`ids` is None for all that match `wanted` and are not newer than `before` says."""

    ids: Sequence[UUID] | None
    wanted: Wanted
    before: str | None

    @property
    def back(self) -> str:
        return self.wanted.link("/batches")

    @property
    def filter(self) -> BatchFilter:
        return self.wanted.filter if self.ids is None else BatchFilter(ids=list(self.ids))


@dataclass(frozen=True)
class Part:
    """`items`, newest first, of `total`, which is counted no further than 10,001."""

    asked: Asked
    items: Sequence[Line]
    total: int

    @property
    def rest(self) -> bool:
        return self.total > len(self.items)

    @property
    def fields(self) -> list[tuple[str, str]]:
        """What names the same part again, and the list that it came from: what is submitted from
        now on is no part of it."""
        wanted = self.asked.wanted.fields
        if self.asked.ids is not None:
            return [*wanted, *(("id", str(line.batch.id)) for line in self.items)]
        fields = [*wanted, ("all", "yes")]
        return [*fields, ("before", self.items[0].up_to)] if self.items else fields

    def link(self, path: str) -> str:
        return f"{path}?{urlencode(self.fields)}"

    def next_link(self, act: str, last: Line | None = None) -> str:
        """To what is older than the last one."""
        behind = (last or self.items[-1]).behind
        return self.asked.wanted.link("/batches/bulk", act=act, all="yes", before=behind)


def asked_by(given: Callable[[str], list[str]]) -> Asked:
    """`given`: the values of a field. Raises Rejected."""
    wanted = read_wanted(given)
    if any(given("all")):
        before = (given("before") or [""])[-1] or None
        if before is not None:
            number_in("batches", before)
        return Asked(None, wanted, before)
    chosen = dict.fromkeys(given("id"))
    if not chosen:
        raise Rejected([Flaw("id", "choose at least one batch of the list first")])
    if len(chosen) > CHOSEN_MOST:
        raise Rejected([Flaw("id", f"choose at most {CHOSEN_MOST} batches")])
    return Asked([_id(value) for value in chosen], wanted, None)


def _id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise Rejected([Flaw("id", f"{value[:50]!r} is not the id of a batch")]) from None


def part_of(
    reader: Reader,
    project: UUID,
    asked: Asked,
    *,
    most: int,
    statuses: Sequence[str] | None = None,
    jobs_most: int | None = None,
) -> Part:
    """`statuses`: only those are of use. `jobs_most`: no more jobs than that, but of one batch."""
    chosen = asked.filter
    if statuses is not None:
        named = chosen.get("statuses")
        both = [word for word in statuses if named is None or word in named]
        if not both:
            return Part(asked, [], 0)
        chosen = {**chosen, "statuses": both}
    found = list_lines(reader, project, before=asked.before, limit=most, wanted=chosen)
    items = found.items if jobs_most is None else _within(found.items, jobs_most)
    total = len(items)
    if found.older is not None or total < len(found.items):
        counted = COUNTED_MOST + 1
        total = count_matching(reader, project, before=asked.before, wanted=chosen, most=counted)
    return Part(asked, items, total)


def _within(lines: Sequence[Line], jobs_most: int) -> list[Line]:
    kept: list[Line] = []
    for line in lines:
        jobs_most -= line.batch.jobs_total
        if kept and jobs_most < 0:
            break
        kept.append(line)
    return kept
