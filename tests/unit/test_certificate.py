"""What a certificate must not survive. Each forger here holds the server's own key, unless a test
says otherwise: the signature is one guard, the chain and the order of the entries another."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.proof.certificate import check, public_key, sign
from schemas.certificate import Certificate, Ends, Slice
from schemas.witness import Began, Entry, Finished, Opened, first_head, line_of
from schemas.words import BatchStatus

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
JOURNAL = "j-1"


class Log:
    """A device's log, as a worker writes it."""

    def __init__(self, journal: str = JOURNAL) -> None:
        self.journal = journal
        self.heads = [first_head(journal)]
        self.lines: list[str] = []
        self.opened()

    def opened(self) -> None:
        self._add(Opened(self.next, "d1", self.journal, "boot", 1.0, 1.0))

    def ran(self, job: str, *, batch: str = "mine", fence: int = 2, run: int = 1) -> None:
        self.began(job, batch=batch, fence=fence, run=run)
        self.finished(job, batch=batch, fence=fence, run=run)

    def began(self, job: str, *, batch: str = "mine", fence: int = 2, run: int = 1) -> None:
        self._add(Began(self.next, "d1", fence, batch, job, run, 1, 1.0, 1.0))

    def finished(self, job: str, *, batch: str = "mine", fence: int = 2, run: int = 1) -> None:
        end = Finished(self.next, "d1", fence, batch, job, run, 1, 1.0, 1.0, "done", "ab")
        self._add(end)

    @property
    def next(self) -> int:
        return len(self.lines) + 1

    def slice(self, first: int, last: int, *, fence: int = 2) -> Slice:
        """Entries by their number, with their neighbours."""
        return Slice(
            device="d1",
            journal=self.journal,
            fence=fence,
            head=self.heads[first - 2],
            before=self.lines[first - 2],
            entries=self.lines[first - 1 : last],
            after=self.lines[last] if last < len(self.lines) else None,
        )

    def _add(self, entry: Entry) -> None:
        head, line = line_of(entry, self.heads[-1])
        self.heads.append(head)
        self.lines.append(line.decode())


def certified(*held: Slice, done: int = 2, batch: str = "mine") -> str:
    certificate = Certificate(
        version=1,
        batch=batch,
        status=BatchStatus.DONE,
        jobs=Ends(total=done, done=done, failed=0, canceled=0),
        issued_at="2026-01-01T00:00:00+00:00",
        key_id=public_key(KEY).key_id,
        held=list(held),
        unwitnessed=[],
    )
    return sign(certificate, KEY).model_dump_json()


def good() -> Log:
    """Entries 2 and 3, and 8 and 9, are of others; 4 to 7 are of the batch."""
    log = Log()
    log.ran("theirs", batch="before", fence=1)
    log.ran("a")
    log.ran("b")
    log.ran("theirs too", batch="after", fence=3)
    return log


def altered(change: Callable[[dict[str, Any]], None], *, key: bytes = KEY) -> str:
    """The good certificate, changed and signed again."""
    inside = json.loads(json.loads(certified(good().slice(4, 7)))["certificate"])
    change(inside)
    return sign(Certificate.model_validate_json(json.dumps(inside)), key).model_dump_json()


def held(change: Callable[[dict[str, Any]], None]) -> list[str]:
    return check(altered(lambda inside: change(inside["held"][0])))


def test_a_good_certificate_stands() -> None:
    assert check(certified(good().slice(4, 7)), public_key(KEY).public_key) == []


def test_at_the_end_of_a_log_nothing_comes_after() -> None:
    log = Log()
    log.ran("a")
    assert check(certified(log.slice(2, 3), done=1)) == []


def test_a_worker_that_was_started_again_in_between_is_no_stranger() -> None:
    log = Log()
    log.began("a")
    log.opened()
    log.ran("a", run=2)
    assert check(certified(log.slice(2, 5), done=1)) == []


def test_a_batch_that_came_back_to_its_device_has_two_slices() -> None:
    log = Log()
    log.ran("a", fence=1)
    log.ran("b", fence=2)
    slices = log.slice(2, 3, fence=1), log.slice(4, 5, fence=2)
    assert check(certified(*slices)) == []


def test_a_changed_entry_is_found() -> None:
    def change(held: dict[str, Any]) -> None:
        held["entries"][1] = held["entries"][1].replace('"ab"', '"cd"')

    finding, *_ = held(change)
    assert "the chain is broken" in finding


def test_a_removed_entry_is_found() -> None:
    assert held(lambda held: held["entries"].pop(1))


def test_entries_in_another_order_are_found() -> None:
    assert held(lambda held: held["entries"].reverse())


@pytest.mark.parametrize("neighbour", ["before", "after"])
def test_an_entry_that_is_cut_off_and_called_a_neighbour_is_found(neighbour: str) -> None:
    log = good()
    cut = log.slice(5, 7) if neighbour == "before" else log.slice(4, 6)
    findings = check(certified(cut))
    assert any("left out of its slice" in finding for finding in findings)


def test_a_missing_neighbour_is_found() -> None:
    assert held(lambda held: held.update(head=held["before"][:64], before=None))


def test_a_forged_neighbour_is_found() -> None:
    log, other = good(), Log()
    other.ran("a")
    assert held(lambda held: held.update(before=other.lines[0]))
    assert held(lambda held: held.update(after=log.lines[3]))


def test_a_stranger_between_the_entries_is_found() -> None:
    log = Log()
    log.ran("a")
    log.ran("theirs", batch="other", fence=3)
    log.ran("b")
    findings = check(certified(log.slice(2, 7)))
    assert "d1 under fence 2: entry 4 is of job theirs of batch other" in findings


def test_a_job_that_began_while_another_one_ran_is_found() -> None:
    log = Log()
    log.began("a")
    log.began("b")
    log.finished("b")
    log.finished("a")
    (finding, *_) = check(certified(log.slice(2, 5)))
    assert "job b began while job a was running" in finding


def test_a_neighbour_that_had_not_ended_is_found() -> None:
    log = Log()
    log.began("theirs", batch="other", fence=1)
    log.ran("a")
    (finding,) = check(certified(log.slice(3, 4), done=1))
    assert "job a began while job theirs was running" in finding


def test_a_run_that_began_twice_is_found() -> None:
    log = Log()
    log.ran("a")
    log.opened()
    log.ran("a")
    (finding,) = check(certified(log.slice(2, 6), done=1))
    assert "run 1 of job a began twice" in finding


def test_a_run_that_began_twice_in_two_logs_is_found() -> None:
    first, second = Log(), Log("j-2")
    first.ran("a")
    second.ran("a")
    (finding,) = check(certified(first.slice(2, 3), second.slice(2, 3), done=1))
    assert "run 1 of job a began twice" in finding


def test_the_entries_of_another_batch_are_no_certificate_for_this_one() -> None:
    assert len(check(certified(good().slice(4, 7), batch="another"))) >= 4


def test_results_that_no_log_shows_are_found() -> None:
    assert check(certified(good().slice(4, 7), done=3)) == ["3 jobs are done, the logs show 2"]


def test_a_stretch_of_the_log_that_is_shown_twice_is_found() -> None:
    findings = check(certified(good().slice(4, 7), good().slice(4, 7)))
    assert "two slices of the log j-1 overlap" in findings


def test_the_beginning_of_another_log_is_found() -> None:
    log = Log()
    log.ran("a")
    changed = log.slice(2, 3).model_copy(update={"journal": "j-2"})
    finding, *_ = check(certified(changed, done=1))
    assert "not the beginning of the log j-2" in finding


def test_another_key_than_the_given_one_is_refused() -> None:
    (finding,) = check(certified(good().slice(4, 7)), public_key(OTHER_KEY).public_key)
    assert finding.startswith("signed with another key")


def test_a_forger_with_a_key_of_his_own_must_name_it() -> None:
    assert check(altered(lambda inside: None, key=OTHER_KEY)) == [
        "signed with another key than the one it names"
    ]


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"certificate": 1}', "\x00", "[" * 9999])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    (finding,) = check(text)
    assert finding.startswith("not a certificate")


WHOLE = json.loads(certified(good().slice(4, 7)))


@pytest.mark.parametrize("field", sorted(WHOLE))
@given(st.data())
def test_any_single_changed_character_is_found(field: str, data: st.DataObject) -> None:
    text = WHOLE[field]
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec="utf-8").filter(lambda c: c != text[place]))
    changed = {**WHOLE, field: text[:place] + letter + text[place + 1 :]}
    assert check(json.dumps(changed)) != []


@given(st.data())
def test_any_single_changed_character_of_a_line_is_found_without_the_signature(
    data: st.DataObject,
) -> None:
    inside = json.loads(WHOLE["certificate"])
    (held,) = inside["held"]
    lines = [held["before"], *held["entries"], held["after"]]
    number = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[number]) - 1))
    letter = data.draw(st.characters(codec="utf-8").filter(lambda c: c != lines[number][place]))
    lines[number] = lines[number][:place] + letter + lines[number][place + 1 :]
    held["before"], *held["entries"], held["after"] = lines
    again = sign(Certificate.model_validate_json(json.dumps(inside)), KEY)
    assert check(again.model_dump_json()) != []
