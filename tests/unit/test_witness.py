"""The witness log's lines: their form, their chain, and what a reader refuses."""

import hashlib
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.witness import (
    Began,
    BrokenLog,
    Entry,
    Finished,
    Opened,
    first_head,
    line_of,
    read_line,
    read_lines,
)

JOURNAL = "j-1"
ENTRIES: tuple[Entry, ...] = (
    Opened(1, "d1", JOURNAL, "boot", 10.5, 1.5),
    Began(2, "d1", 3, "b", "job", 1, 7, 11.0, 2.0),
    Finished(3, "d1", 3, "b", "job", 1, 7, 12.0, 3.0, "done", "ab" * 32),
    Began(4, "d1", 3, "b", "job-2", 1, 7, 13.0, 4.0),
    Finished(5, "d1", 3, "b", "job-2", 1, 7, 14.0, 5.0, "failed", None),
)


def log(entries: Iterable[Entry] = ENTRIES) -> list[bytes]:
    head, lines = first_head(JOURNAL), []
    for entry in entries:
        head, line = line_of(entry, head)
        lines.append(line)
    return lines


def read(lines: Iterable[bytes]) -> list[Entry]:
    return [each.entry for each in read_lines(lines, JOURNAL)]


def sealed(body: bytes) -> bytes:
    """A first line whose hash is right, whatever it says."""
    own = hashlib.sha256(first_head(JOURNAL).encode() + b" " + body).hexdigest()
    return own.encode() + b" " + body


def test_what_is_written_is_read() -> None:
    assert tuple(read(log())) == ENTRIES


def test_a_line_can_be_checked_with_nothing_but_sha256() -> None:
    head = hashlib.sha256(b"holdfast witness j-1").hexdigest()
    for line in log():
        own, _, body = line.partition(b" ")
        assert own.decode() == hashlib.sha256(head.encode() + b" " + body).hexdigest()
        head = own.decode()


def test_the_keys_of_an_entry_keep_their_order() -> None:
    opened, began, finished, *_ = (list(json.loads(line[65:])) for line in log())
    run = ["seq", "kind", "device", "fence", "batch", "job", "run", "window", "at", "mono"]
    assert opened == ["seq", "kind", "device", "journal", "boot", "at", "mono"]
    assert began == run and finished == [*run, "end", "sha256"]


@given(st.data())
def test_any_changed_byte_breaks_the_chain(data: st.DataObject) -> None:
    lines = log()
    number = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[number]) - 1))
    changed = bytearray(lines[number])
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BrokenLog):
        read([*lines[:number], bytes(changed), *lines[number + 1 :]])


@pytest.mark.parametrize("gone", range(4))
def test_an_entry_that_was_taken_out_breaks_the_chain(gone: int) -> None:
    lines = log()
    with pytest.raises(BrokenLog):
        read(lines[:gone] + lines[gone + 1 :])


def test_entries_that_changed_places_break_the_chain() -> None:
    first, second, third, *rest = log()
    with pytest.raises(BrokenLog):
        read([first, third, second, *rest])


def test_a_log_that_counts_wrong_is_refused() -> None:
    with pytest.raises(BrokenLog, match="entry 2 stands where 1 should be"):
        read(log(ENTRIES[1:]))


def test_the_log_of_another_journal_is_refused() -> None:
    with pytest.raises(BrokenLog):
        list(read_lines(log(), "j-2"))


GOOD = b'{"seq":1,"kind":"opened","device":"d","journal":"j","boot":"b","at":1.0,"mono":2.0}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[1]",
        b"{",
        b"\xff",
        b'{"kind":["opened"]}',
        GOOD.replace(b"opened", b"closed"),
        GOOD.replace(b'"device":"d"', b'"device":7'),
        GOOD.replace(b'"seq":1', b'"seq":true'),
        GOOD.replace(b"2.0", b"NaN"),
        GOOD.replace(b'"boot":"b",', b""),
        GOOD.replace(b'"boot":"b"', b'"boot":"b","more":1'),
        GOOD.replace(b'"at":1.0,"mono":2.0', b'"mono":2.0,"at":1.0'),
        GOOD + GOOD,
    ],
)
def test_a_line_that_is_no_entry_is_refused_whatever_its_hash(body: bytes) -> None:
    read_line(sealed(GOOD), first_head(JOURNAL))
    with pytest.raises(BrokenLog, match="not an entry"):
        read_line(sealed(body), first_head(JOURNAL))


def test_a_run_that_ends_in_no_known_way_is_refused() -> None:
    body = log()[2][65:].replace(b'"done"', b'"gone"')
    with pytest.raises(BrokenLog, match="no end of a run"):
        read_line(sealed(body), first_head(JOURNAL))
