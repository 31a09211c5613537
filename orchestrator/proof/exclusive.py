"""What the slices of a certificate must say for its batch to have been alone."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from schemas.certificate import Certificate, Slice
from schemas.witness import (
    Began,
    BrokenLog,
    Entry,
    Finished,
    Opened,
    first_head,
    read_line,
)

Run = tuple[str, int]
_VEILED: Final = re.compile("[0-9a-f]{64}")


@dataclass
class Seen:
    """What all slices together have shown."""

    begun: set[Run] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    places: dict[str, list[tuple[int, int]]] = field(default_factory=dict)


def findings_in(certificate: Certificate) -> list[str]:
    """Each thing that speaks against the certificate; none: the batch was alone."""
    seen = Seen()
    found = [
        f"{held.device} under fence {held.fence}: {finding}"
        for held in certificate.held
        for finding in _in_slice(certificate.batch, held, seen)
    ]
    for journal, places in seen.places.items():
        places.sort()
        if any(end >= start for (_, end), (start, _) in pairwise(places)):
            found.append(f"two slices of the log {journal} overlap")
    if len(seen.done) < certificate.jobs.done:
        found.append(f"{certificate.jobs.done} jobs are done, the logs show {len(seen.done)}")
    return found


def _in_slice(batch: str, held: Slice, seen: Seen) -> Iterator[str]:
    try:
        lines = _followed(held)
    except BrokenLog as error:
        yield str(error)
        return
    before, *own = lines
    after = own.pop() if held.after is not None and own else None
    entries = [entry for line in own if (entry := line.entry) is not None]
    if held.before is None or not entries:
        # A log begins by saying that it was opened, so that something is always before a run.
        yield "it lacks the batch's entries, or the one before them"
        return
    seen.places.setdefault(held.journal, []).append((entries[0].seq, entries[-1].seq))
    neighbours = [line.entry for line in (before, after) if line and line.entry is not None]
    yield from _cut(batch, held.fence, neighbours, entries)
    in_turn = [before.entry, *entries, after.entry if after else None]
    yield from _in_turn([entry for entry in in_turn if entry is not None])
    yield from _counted(entries, seen)


def _cut(batch: str, fence: int, neighbours: list[Entry], own: list[Entry]) -> Iterator[str]:
    for entry in neighbours:
        if _is_of(entry, batch, fence):
            yield f"entry {entry.seq} is the batch's own, and left out of its slice"
    for entry in own:
        if not isinstance(entry, Opened) and not _is_of(entry, batch, fence):
            yield f"entry {entry.seq} is of job {entry.job} of batch {entry.batch}"
    if not isinstance(own[0], Began) or isinstance(own[-1], Opened):
        yield "it does not go from the batch's first entry to its last"


class _Followed(NamedTuple):
    """A line of the slice. `entry` is None where it is veiled."""

    hash: str
    entry: Entry | None


def veil(line: str) -> str:
    """What is shown of a line that is not its reader's business: enough to go on with the chain."""
    return line.partition(" ")[0]


def batch_of(line: str) -> str | None:
    """Whose entry it is; None for one that is nobody's."""
    batch: str | None = json.loads(line.partition(" ")[2]).get("batch")
    return batch


def _followed(held: Slice) -> list[_Followed]:
    """Raises `BrokenLog`. Only a neighbour may be veiled: who signed says that it is a stranger."""
    head, seq = held.head, None
    lines: list[_Followed] = []
    for text in (held.before, *held.entries, held.after):
        if text is None:
            continue
        if text in (held.before, held.after) and _VEILED.fullmatch(text):
            head = text
            lines.append(_Followed(head, None))
            continue
        line = read_line(text.encode(), head)
        _is_in_place(held, line.entry, head, seq)
        head, seq = line.hash, line.entry.seq
        lines.append(_Followed(head, line.entry))
    return lines


def _is_in_place(held: Slice, entry: Entry, head: str, seq: int | None) -> None:
    if seq is not None and entry.seq != seq + 1:
        raise BrokenLog(f"entry {entry.seq} stands where {seq + 1} should be")
    if entry.seq == 1 and head != first_head(held.journal):
        raise BrokenLog(f"this is not the beginning of the log {held.journal}")
    if entry.device != held.device:
        raise BrokenLog(f"entry {entry.seq} is of the device {entry.device}")
    if isinstance(entry, Opened) and entry.journal != held.journal:
        raise BrokenLog(f"entry {entry.seq} is of the log {entry.journal}")


def _is_of(entry: Entry, batch: str, fence: int) -> bool:
    return not isinstance(entry, Opened) and entry.batch == batch and entry.fence == fence


def _in_turn(entries: list[Entry]) -> Iterator[str]:
    """One run after the other; a log that is opened again ends what was running."""
    first, *others = entries
    running = (first.job, first.run) if isinstance(first, Began) else None
    for entry in others:
        if isinstance(entry, Opened):
            running = None
            continue
        run = entry.job, entry.run
        if isinstance(entry, Began):
            if running is not None:
                yield f"entry {entry.seq}: job {run[0]} began while job {running[0]} was running"
            running = run
        else:
            if running != run:
                yield f"entry {entry.seq}: job {run[0]} ended without running"
            running = None


def _counted(own: list[Entry], seen: Seen) -> Iterator[str]:
    for entry in own:
        if isinstance(entry, Began):
            run = entry.job, entry.run
            if run in seen.begun:
                yield f"entry {entry.seq}: run {run[1]} of job {run[0]} began twice"
            seen.begun.add(run)
        elif isinstance(entry, Finished) and entry.end == "done":
            seen.done.add(entry.job)
