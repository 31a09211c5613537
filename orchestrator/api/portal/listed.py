"""What the pages of one filter are told while batches come and go."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

from orchestrator.api.portal.topics import Events, Swap, first, shown
from orchestrator.api.portal.view import fragment
from orchestrator.store.listings import BatchFilter
from orchestrator.store.listings_portal import Line, has_any, list_lines
from orchestrator.store.listings_reading import Reader
from schemas.words import BatchStatus

PAGE: Final = 50
KNOWN_MOST: Final = 1000
WAITING: Final = frozenset({BatchStatus.PENDING, BatchStatus.PREEMPTED, BatchStatus.PAUSED})
TABLE: Final = "batches_table.html"


@dataclass
class Listed:
    """`seen`: the rows as the filter gave them last. `known`: whatever some page may still show:
    a row that no longer matches stays, marked, until the page is loaded again."""

    filter: BatchFilter
    before: str | None = None
    may_submit: bool = False
    seen: list[Line] = field(default_factory=list)
    known: set[UUID] = field(default_factory=set)

    def news(self, reader: Reader, project: UUID, events: Events) -> Sequence[Swap]:
        if events is None:
            self._see(self._page(reader, project))
            return [self._whole(reader, project)]
        touched = {event.batch_id for event in events if event.batch_id is not None}
        if not events or any(event.job_id is None for event in events):
            touched |= {line.batch.id for line in self.seen if line.batch.status in WAITING}
        return self._changed(reader, project, sorted(touched)) if touched else []

    def _changed(self, reader: Reader, project: UUID, touched: list[UUID]) -> list[Swap]:
        find = partial(list_lines, reader, project, limit=len(touched))
        lines = find(wanted=BatchFilter(ids=touched)).items
        fits = set(touched)
        if self.filter:
            fits = {line.batch.id for line in find(wanted={**self.filter, "ids": touched}).items}
        rows = [_row(line, line.batch.id in fits) for line in lines if line.batch.id in self.known]
        if not any(self._belongs(line) for line in lines if line.batch.id in fits):
            now = {line.batch.id: line for line in lines}
            self.seen = [now.get(line.batch.id, line) for line in self.seen]
            return rows
        before, page = {line.batch.id for line in self.seen}, self._page(reader, project)
        self._see(page)
        fresh = [line for line in page if line.batch.id not in before]
        if self.before is None and before and page[: len(fresh)] == fresh:
            into = [first("rows", _id(each), _html(each), most=PAGE) for each in reversed(fresh)]
            return [*into, *rows]
        return [self._whole(reader, project), *(_row(line) for line in page)]

    def _belongs(self, line: Line) -> bool:
        """Not among the rows, and newer than the last of them, or there is room behind it."""
        if self.before is not None or any(line.batch.id == each.batch.id for each in self.seen):
            return False
        return len(self.seen) < PAGE or line.seq > self.seen[-1].seq

    def _page(self, reader: Reader, project: UUID) -> list[Line]:
        return list_lines(reader, project, before=self.before, limit=PAGE, wanted=self.filter).items

    def _see(self, lines: list[Line]) -> None:
        self.seen = lines
        ids = {line.batch.id for line in lines}
        self.known = ids if len(self.known) > KNOWN_MOST else self.known | ids

    def _whole(self, reader: Reader, project: UUID) -> Swap:
        is_new = not self.seen and not has_any(reader, project)
        return shown("listing", fragment(TABLE, "listing", self.seen, is_new, self.may_submit))


def _row(line: Line, fits: bool = True) -> Swap:
    return shown(_id(line), _html(line, fits))


def _html(line: Line, fits: bool = True) -> str:
    return fragment(TABLE, "row", line, fits)


def _id(line: Line) -> str:
    return f"batch-{line.batch.id}"
