"""Bodies and the sentences about what is wrong with them."""

from typing import Any

import pytest

from orchestrator.api.bodies import Nothing, parse
from orchestrator.api.refusals import MalformedJson
from orchestrator.api.submit.calls import LARGE, parsed
from orchestrator.errors import Rejected
from orchestrator.store.listings_reading import cursor_of, number_in, place_in
from orchestrator.store.listings_waiting import PoolDevice, why_waiting
from schemas.batch import BatchIn, RebatchIn
from schemas.job import LISTED_MOST, CancelIn


def flaws(model: Any, raw: str) -> dict[str, str]:
    with pytest.raises(Rejected) as caught:
        parse(model, raw.encode())
    return {flaw.field: flaw.message for flaw in caught.value.flaws}


@pytest.mark.parametrize(
    ("raw", "field", "message"),
    [
        ('{"jobs": [{"runs": 1.5}]}', "jobs[0].runs", "must be a whole number, without quotes"),
        ('{"sequence": 1}', "sequence", "must be text or must be an object"),
        ('{"name": ""}', "name", "must not be empty"),
        ('{"lanes": 0}', "lanes", "must be at least 1"),
        ('{"idle_timeout_s": 0}', "idle_timeout_s", "must be more than 0"),
        ('{"tag": []}', "tag", "is not a field here; did you mean 'tags'?"),
        ('{"jobs": [{"payload": 3}]}', "jobs[0].payload", "must be an object"),
    ],
)
def test_a_mistake_is_a_field_and_a_sentence(raw: str, field: str, message: str) -> None:
    assert flaws(BatchIn, raw)[field] == message


def test_a_nested_typo_is_compared_with_the_fields_of_its_own_object() -> None:
    raw = '{"filter": {"status": [], "zzz": 1}}'
    said = flaws(RebatchIn, raw)
    assert said["filter.status"].endswith("did you mean 'statuses'?")
    assert "min_runs" in said["filter.zzz"]


def test_an_optional_body_may_be_missing() -> None:
    assert parse(CancelIn, b" ", optional=True).interrupt is True


def test_a_body_where_none_belongs_is_refused() -> None:
    assert flaws(Nothing, '{"interrupt": true}')["interrupt"].startswith("is not a field here")


@pytest.mark.parametrize("entry", ["[]", "{}"])
def test_a_list_without_end_is_not_built_before_it_is_counted(entry: str) -> None:
    raw = '{"device_type": "T", "jobs": [' + ",".join([entry] * (LISTED_MOST + 1000)) + "]}"
    assert flaws(BatchIn, raw) == {"jobs": "must have at most 100000 entries"}


@pytest.mark.parametrize("dense", [b"[],", b"{},", b"[0],", b'{"a":[]},'])
def test_a_submission_of_nothing_but_brackets_is_refused_unread(dense: bytes) -> None:
    most = LARGE // len(dense)
    with pytest.raises(Rejected, match="more lists and objects than any jobs"):
        parsed(b'{"jobs":[' + dense * most + b"0]   }", frozenset({"jobs"}))


def test_a_large_submission_of_the_shortest_atoms_there_are_is_read() -> None:
    atoms = b'{"job":{"positions":[' + b"[0,0,0]," * (LARGE // 8) + b"[0,0,0]]}}"
    assert len(parsed(b'{"jobs":[' + atoms + b"]}", frozenset({"jobs"}))["jobs"]) == 1


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"01", b"1e"])
def test_what_is_no_json_is_malformed(number: bytes) -> None:
    with pytest.raises(MalformedJson):
        parse(BatchIn, b'{"device_type": "T", "payload": {"x": ' + number + b"}}")


@pytest.mark.parametrize("payload", ['{"\\u0000": 1}', '{"a": ["x\\u0000"]}'])
def test_nul_is_found_wherever_it_hides(payload: str) -> None:
    assert "NUL" in flaws(BatchIn, f'{{"device_type": "T", "payload": {payload}}}')["body"]


def test_a_cursor_comes_back_as_it_was() -> None:
    assert number_in("batches", cursor_of("batches", 42)) == 42


@pytest.mark.parametrize(
    "cursor", ["", "!", "x" * 400, cursor_of("jobs", 1), cursor_of("batches", "")]
)
def test_what_is_no_cursor_of_the_listing_is_refused(cursor: str) -> None:
    with pytest.raises(Rejected):
        place_in("batches", cursor)


def device(name: str, service: str = "active", *, online: bool = False) -> PoolDevice:
    return {"name": name, "service": service, "online": online, "reason": "repair"}


@pytest.mark.parametrize(
    ("pool", "reason"),
    [
        ([device("a", online=True), device("b", "paused")], None),
        ([], "there is no device of type T"),
        ([device("a"), device("b")], "no device of type T is online"),
        ([device("a", "paused", online=True)], "device a is paused: repair"),
        ([device("a", "draining", online=True)], "device a is draining: repair"),
        (
            [device("a", "paused"), device("b")],
            "device a is paused: repair; device b is not online",
        ),
    ],
)
def test_a_waiting_batch_gives_its_reason(pool: list[PoolDevice], reason: str | None) -> None:
    assert why_waiting("T", None, pool) == reason


def test_a_batch_for_one_device_speaks_of_that_device() -> None:
    assert why_waiting("T", "a", [device("a")]) == "device a is not online"


def test_a_long_list_of_reasons_is_cut() -> None:
    pool = [device(f"d{n}", "paused") for n in range(5)]
    assert str(why_waiting("T", None, pool)).endswith("(and 2 more)")
