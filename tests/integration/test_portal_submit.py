"""Submitting by hand, over real HTTP: paste, fill in, try, submit."""

import json
from collections.abc import Iterator
from html import unescape

import pytest

from orchestrator.services.core import Core
from schemas.words import Scope
from tests.integration.api_stack import TYPE, Api, add_device, batch_body, counts, new_key, serving
from tests.integration.guest import Guest, guest
from tests.sequences import one_pulse


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    add_device(core, "dev-1")
    add_device(core, "emu-1", "EMU_FREE", "pulser")
    with serving(core) as api:
        yield api


@pytest.fixture
def member(api: Api) -> Iterator[Guest]:
    with guest(api, new_key(api.core, [Scope.READ, Scope.SUBMIT])) as found:
        yield found


def looked(member: Guest, text: str) -> str:
    answer = member.post("/submit/look", {"text": text}, on="/submit")
    assert answer.status_code == 200, answer.text
    member.page = answer.text
    return unescape(answer.text)


def test_a_batch_file_is_submitted_as_it_is(api: Api, member: Guest) -> None:
    text = json.dumps(batch_body(3, name="by hand"))
    assert "A batch with 3 jobs" in looked(member, text)
    fields = {"text": text, "device_type": TYPE, "name": "by hand", **member.proof()}
    answer = member.send("/submit", fields)
    assert answer.status_code == 303
    batch = api.get(f"/v1{answer.headers['location']}")
    assert (batch["name"], batch["jobs_total"], batch["open"]) == ("by hand", 3, False)


def test_a_form_that_is_sent_twice_submits_once(api: Api, member: Guest) -> None:
    text = json.dumps(batch_body(1))
    looked(member, text)
    fields = {"text": text, "device_type": TYPE, **member.proof()}
    first, second = member.send("/submit", fields), member.send("/submit", fields)
    assert first.headers["location"] == second.headers["location"]
    assert len(api.get("/v1/batches")["items"]) == 1


def test_a_sequence_shows_its_variables_to_fill_in(api: Api, member: Guest) -> None:
    text = one_pulse(amplitude=None)
    page = looked(member, text)
    assert "A sequence with 1 job" in page
    assert 'name="v.omega"' in page
    rows = {"runs": ["10", "20"], "v.omega": ["1.5", "2"]}
    given = {"text": text, "device_type": "EMU_FREE", **rows}
    answer = member.send("/submit", {**given, **member.proof()})
    assert answer.status_code == 303, answer.text
    jobs = api.get("/v1/jobs", batch_id=answer.headers["location"].split("/")[-1])["items"]
    assert [(j["runs"], j["variables"]) for j in jobs] == [
        (10, {"omega": 1.5}),
        (20, {"omega": 2}),
    ]


def test_no_device_type_is_chosen_for_the_user(member: Guest) -> None:
    assert '<option value="" selected>choose one</option>' in looked(member, one_pulse())
    page = looked(member, json.dumps(batch_body(1) | {"device_type": "NOT_HERE"}))
    assert '<option value="NOT_HERE" selected>' in page


def test_a_dry_run_says_what_would_happen_and_leaves_nothing(api: Api, member: Guest) -> None:
    text = json.dumps(batch_body(2))
    looked(member, text)
    before = counts(api.core)
    fields = {"text": text, "device_type": TYPE, **member.proof()}
    answer = member.send("/submit/try", fields)
    assert "This would be accepted: 2 jobs" in answer.text
    assert counts(api.core) == before


def test_what_is_wrong_is_told_at_its_cell_and_nothing_typed_is_lost(member: Guest) -> None:
    text = one_pulse(amplitude=None)
    looked(member, text)
    rows = {"runs": ["10", "20"], "v.omega": ["1.5", "fast"]}
    fields = {"text": text, "device_type": "EMU_FREE", "name": "kept", **rows, **member.proof()}
    answer = member.send("/submit", fields)
    page = unescape(answer.text)
    assert answer.status_code == 422
    assert 'id="wrong-jobs[1].variables.omega">must be a number' in page
    for typed in ('value="fast"', 'value="kept"', 'value="1.5"'):
        assert typed in page


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "paste a sequence or a batch"),
        ("{", "is not JSON"),
        ("17", "must be a sequence, a batch, or a list of jobs"),
        ('{"a": 1}', "is neither a serialized Pulser sequence"),
    ],
)
def test_what_cannot_be_submitted_is_told_at_once(member: Guest, text: str, said: str) -> None:
    answer = member.post("/submit/look", {"text": text}, on="/submit")
    assert answer.status_code == 422
    assert said in unescape(answer.text)


def test_an_uploaded_file_goes_before_what_was_pasted(member: Guest) -> None:
    member.get("/submit")
    file = {"file": ("batch.json", json.dumps(batch_body(4)), "application/json")}
    answer = member.http.post("/submit/look", data=member.proof() | {"text": "["}, files=file)
    assert "A batch with 4 jobs" in answer.text


def test_a_file_that_is_no_text_is_refused(member: Guest) -> None:
    member.get("/submit")
    file = {"file": ("batch.json", b"\xff\xfe\x00", "application/json")}
    answer = member.http.post("/submit/look", data=member.proof(), files=file)
    assert answer.status_code == 422
    assert "must be a text file in UTF-8" in answer.text


def test_a_form_beyond_the_limit_is_refused(api: Api, member: Guest) -> None:
    member.get("/submit")
    huge = "x" * (api.core.settings.max_body_bytes + 1)
    answer = member.send("/submit/look", {**member.proof(), "text": huge})
    assert answer.status_code == 413


def test_a_reader_submits_nothing(api: Api) -> None:
    with guest(api, new_key(api.core, [Scope.READ])) as reader:
        reader.get("/project")
        fields = {"text": json.dumps(batch_body(1)), "device_type": TYPE, **reader.proof()}
        assert reader.send("/submit", fields).status_code == 403
    assert api.get("/v1/batches")["items"] == []
