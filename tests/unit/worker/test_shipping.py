"""Shipping the witness log: nothing is lost, nothing waits for it, and twice is once."""

from collections.abc import Generator
from pathlib import Path

import pytest

from schemas.task import Lost
from schemas.witness import Finished, read_lines
from tests.waiting import until
from workers.journal import Journal
from workers.results import ResultNotStored
from workers.shipping import Shipper

SEGMENT = 2_000


class Store:
    """What an object store keeps, and how it can fail."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.puts = 0
        self.away = False

    def put(self, key: str, body: bytes) -> None:
        self.puts += 1
        if self.away:
            raise ResultNotStored("no answer")
        self.kept[key] = body

    def lines(self) -> list[bytes]:
        return b"".join(self.kept[key] for key in sorted(self.kept)).splitlines()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def journal(tmp_path: Path) -> Generator[Journal]:
    with Journal(tmp_path / "journal", device="d1") as journal:
        yield journal


def shipper(journal: Journal, store: Store) -> Shipper:
    return Shipper(journal, device="d1", store=lambda: store, segment_bytes=SEGMENT)


def run(journal: Journal, *jobs: str) -> None:
    for job in jobs:
        journal.began(job, 1, batch="b", window=1, fence=1, at=1.0)
        journal.finished(Lost(job=job, run=1), at=2.0)


def names(count: int, of: str = "job") -> list[str]:
    return [f"{of}-{n}" for n in range(count)]


def jobs_in(store: Store, journal: Journal) -> list[str]:
    entries = [each.entry for each in read_lines(store.lines(), journal.id)]
    return [entry.job for entry in entries if isinstance(entry, Finished)]


def test_a_log_is_shipped_in_segments_that_are_one_chain(journal: Journal, store: Store) -> None:
    run(journal, *names(50))
    shipper(journal, store).ship()
    assert len(store.kept) > 5
    assert all(len(body) < SEGMENT + 1_000 for body in store.kept.values())
    assert jobs_in(store, journal) == names(50)


def test_a_segment_is_named_after_its_first_entry(journal: Journal, store: Store) -> None:
    run(journal, "a")
    shipper(journal, store).ship()
    assert list(store.kept) == [f"witness/d1/{journal.id}/000000000001.log"]


def test_the_newest_segment_grows_until_it_is_full(journal: Journal, store: Store) -> None:
    shipping = shipper(journal, store)
    for job in names(20):
        run(journal, job)
        shipping.ship()
    assert jobs_in(store, journal) == names(20)
    assert len(store.kept) < 10


def test_what_is_new_to_nobody_is_not_sent(journal: Journal, store: Store) -> None:
    run(journal, "a")
    shipping = shipper(journal, store)
    shipping.ship()
    shipping.ship()
    assert store.puts == 1


def test_a_process_that_died_after_any_put_sends_the_same_again(
    journal: Journal, store: Store
) -> None:
    run(journal, *names(30))
    shipper(journal, store).ship()
    whole = dict(store.kept)
    died_at = 0

    class Dying(Store):
        def put(self, key: str, body: bytes) -> None:
            super().put(key, body)
            if self.puts == died_at:
                raise ResultNotStored("the process is gone")

    for died_at in range(1, 4):
        again = Dying()
        with Journal(journal.folder.parent / str(died_at), device="d1") as fresh:
            run(fresh, *names(30))
            with pytest.raises(ResultNotStored):
                shipper(fresh, again).ship()
            shipper(fresh, again).ship()
            assert jobs_in(again, fresh) == names(30)
            assert len(again.kept) == len(whole)


def test_only_what_is_not_stored_for_good_stays_on_the_disk(journal: Journal, store: Store) -> None:
    run(journal, *names(50))
    shipper(journal, store).ship()
    kept = b"".join(journal.witnessed(1, 1000))
    assert len(kept) < SEGMENT
    run(journal, *names(50, "more"))
    shipper(journal, store).ship()
    assert jobs_in(store, journal) == names(50) + names(50, "more")


def test_while_the_store_is_away_runs_go_on_and_nothing_is_lost(
    journal: Journal, store: Store
) -> None:
    shipping = shipper(journal, store)
    store.away = True
    for job in names(20):
        run(journal, job)
        with pytest.raises(ResultNotStored):
            shipping.ship()
    store.away = False
    shipping.ship()
    assert jobs_in(store, journal) == names(20)


def test_the_thread_goes_on_when_the_store_is_back(journal: Journal, store: Store) -> None:
    store.away = True
    shipping = shipper(journal, store)
    run(journal, "a")
    shipping.start()
    until(lambda: store.puts > 0, 10)
    store.away = False
    until(lambda: bool(store.kept), 20)
    shipping.stop()
    assert jobs_in(store, journal) == ["a"]


def test_a_stop_ships_what_is_left(journal: Journal, store: Store) -> None:
    shipping = shipper(journal, store)
    shipping.start()
    run(journal, "a")
    shipping.stop()
    assert jobs_in(store, journal) == ["a"]
