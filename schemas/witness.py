"""The witness log: what a device's own disk says of every run that began there, and how it ended.

One log per journal, a line per entry: `<hash> <json>`. The hash is the hex SHA-256 of the line
before it (its hash), a space, and the JSON as it stands; before line 1 it is that of the log's
name. So nothing in a log can be changed, left out or put elsewhere without breaking every hash
after it, and a reader checks the bytes as they are.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple

from pydantic_core import from_json

End = Literal["done", "failed", "canceled", "lost"]
ENDS: Final = frozenset({"done", "failed", "canceled", "lost"})
FOLDER: Final = "witness"
HASH_CHARACTERS: Final = 64
LONGEST_LINE: Final = 64 * 1024
"""Bytes. A line holds names and numbers; what is longer is none."""


class Opened(NamedTuple):
    """A worker began to write here. What had begun before and not finished has ended by now.

    `at` is seconds since the epoch, `mono` seconds on the clock that only this `boot` of the
    node has and that no hand can set.
    """

    seq: int
    device: str
    journal: str
    boot: str
    at: float
    mono: float


class Began(NamedTuple):
    seq: int
    device: str
    fence: int
    batch: str
    job: str
    run: int
    window: int
    at: float
    mono: float


class Finished(NamedTuple):
    """`mono`: when the device was free of the run, which may be long before `at`, when this was
    written. `sha256` is of the result's JSON text; None where the run gave none."""

    seq: int
    device: str
    fence: int
    batch: str
    job: str
    run: int
    window: int
    at: float
    mono: float
    end: End
    sha256: str | None


Entry = Opened | Began | Finished


class Witnessed(NamedTuple):
    """An entry with its own hash, which is the next line's `head`."""

    hash: str
    entry: Entry


class BrokenLog(Exception):
    """A line that is no entry, or not the one that follows the line before it; says which."""


def first_head(journal: str) -> str:
    """The hash before line 1."""
    return hashlib.sha256(f"holdfast witness {journal}".encode()).hexdigest()


def line_of(entry: Entry, head: str) -> tuple[str, bytes]:
    """The entry's hash, and its line without the line's end."""
    body = _ENCODE({"seq": entry.seq, "kind": _WORD_OF[type(entry)], **entry._asdict()}).encode()
    own = _hash(head, body)
    return own, own.encode() + b" " + body


def hash_of(line: bytes) -> str:
    """As the line says it, unchecked."""
    return line[:HASH_CHARACTERS].decode("ascii", "replace")


def read_line(line: bytes, head: str) -> Witnessed:
    """A line with or without its end. Raises `BrokenLog` unless it follows `head`."""
    line = line.rstrip(b"\n")
    own, body = hash_of(line), line[HASH_CHARACTERS + 1 :]
    if _hash(head, body) != own or line[HASH_CHARACTERS : HASH_CHARACTERS + 1] != b" ":
        raise BrokenLog(f"the chain is broken at {_shown(line)}")
    return Witnessed(own, _entry(body))


def read_lines(lines: Iterable[bytes], journal: str) -> Iterator[Witnessed]:
    """A whole log, from line 1, checked as it is read. Raises `BrokenLog` at the first line that
    does not follow the one before it."""
    head = first_head(journal)
    for seq, line in enumerate(lines, 1):
        found = read_line(line, head)
        if found.entry.seq != seq:
            raise BrokenLog(f"entry {found.entry.seq} stands where {seq} should be")
        head = found.hash
        yield found


def segment_key(device: str, journal: str, first_seq: int) -> str:
    """Where the object store has the part of a log that begins with this entry."""
    return f"{FOLDER}/{device}/{journal}/{first_seq:012}.log"


_WORD_OF: Final[dict[type[Entry], str]] = {
    Opened: "opened",
    Began: "began",
    Finished: "finished",
}
_ENCODE: Final = json.JSONEncoder(separators=(",", ":")).encode
# Checked by hand: a model for each of a million lines would take longer than all the rest.
_KIND_OF: Final = {
    (word, ("seq", "kind", *kind._fields[1:])): kind for kind, word in _WORD_OF.items()
}
_RUN: Final = (int, str, int, str, str, int, int, float, float)
_TYPES: Final[frozenset[tuple[type, ...]]] = frozenset(
    {
        (Opened, int, str, str, str, float, float),
        (Began, *_RUN),
        (Finished, *_RUN, str, str),
        (Finished, *_RUN, str, type(None)),
    }
)


def _hash(head: str, body: bytes) -> str:
    return hashlib.sha256(head.encode() + b" " + body).hexdigest()


def _entry(body: bytes) -> Entry:
    try:
        fields: dict[str, Any] = from_json(body, allow_inf_nan=False)
        kind = _KIND_OF.get((fields["kind"], tuple(fields)))
    except (ValueError, TypeError, KeyError) as error:
        raise BrokenLog(f"not an entry: {_shown(body)}") from error
    values = list(fields.values())
    del values[1]
    if kind is None or (kind, *map(type, values)) not in _TYPES:
        raise BrokenLog(f"not an entry: {_shown(body)}")
    entry: Entry = kind._make(values)
    if isinstance(entry, Finished) and entry.end not in ENDS:
        raise BrokenLog(f"no end of a run: {_shown(body)}")
    return entry


def _shown(line: bytes) -> str:
    return repr(line[:200].decode("utf-8", "replace"))
