"""What the slices of a certificate must say for its batch to have been alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from schemas.certificate import Certificate, Slice
from schemas.witness import (
    Began,
    BrokenLog,
    Entry,
    Finished,
    Opened,
    Witnessed,
    first_head,
    read_line,
)

Run = tuple[str, int]


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
    before, *own = [line.entry for line in lines]
    after = own.pop() if held.after is not None and own else None
    if held.before is None or not own:
        # A log begins by saying that it was opened, so that something is always before a run.
        yield "it lacks the batch's entries, or the one before them"
        return
    seen.places.setdefault(held.journal, []).append((own[0].seq, own[-1].seq))
    neighbours = [before] if after is None else [before, after]
    yield from _cut(batch, held.fence, neighbours, own)
    yield from _in_turn([*neighbours[:1], *own, *neighbours[1:]])
    yield from _counted(own, seen)


def _cut(batch: str, fence: int, neighbours: list[Entry], own: list[Entry]) -> Iterator[str]:
    for entry in neighbours:
        if _is_of(entry, batch, fence):
            yield f"entry {entry.seq} is the batch's own, and left out of its slice"
    for entry in own:
        if not isinstance(entry, Opened) and not _is_of(entry, batch, fence):
            yield f"entry {entry.seq} is of job {entry.job} of batch {entry.batch}"
    if not isinstance(own[0], Began) or isinstance(own[-1], Opened):
        yield "it does not go from the batch's first entry to its last"


def _followed(held: Slice) -> list[Witnessed]:
    """Raises `BrokenLog`."""
    head, seq = held.head, None
    lines: list[Witnessed] = []
    for text in (held.before, *held.entries, held.after):
        if text is None:
            continue
        line = read_line(text.encode(), head)
        if seq is not None and line.entry.seq != seq + 1:
            raise BrokenLog(f"entry {line.entry.seq} stands where {seq + 1} should be")
        if line.entry.seq == 1 and head != first_head(held.journal):
            raise BrokenLog(f"this is not the beginning of the log {held.journal}")
        if line.entry.device != held.device:
            raise BrokenLog(f"entry {line.entry.seq} is of the device {line.entry.device}")
        if isinstance(line.entry, Opened) and line.entry.journal != held.journal:
            raise BrokenLog(f"entry {line.entry.seq} is of the log {line.entry.journal}")
        head, seq = line.hash, line.entry.seq
        lines.append(line)
    return lines


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
