"""What no page may break of, whoever sends it: odd numbers, half characters, too much of it."""

import base64
import json
from collections.abc import Iterator
from html import unescape
from uuid import UUID

import pytest
from sqlalchemy import text

from orchestrator.services.core import Core
from orchestrator.store.listings_reading import reading
from orchestrator.store.listings_shown import READ_MOST, page_of_jobs
from schemas.words import Scope
from tests.integration.api_stack import TYPE, Api, add_device, new_key, serving
from tests.integration.guest import Guest, guest
from tests.integration.live_pages import opened
from tests.integration.played import ran
from tests.integration.puppet import PROJECT, Puppet, new_batch
from tests.sequences import one_pulse
from tests.waiting import until

HALF = "\ud800"
BINARY = "multipart/form-data; boundary=x"
MANY = 201


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    add_device(core, "emu-1", "EMU_FREE", "pulser")
    with serving(core) as api:
        yield api


@pytest.fixture
def member(api: Api) -> Iterator[Guest]:
    with guest(api, new_key(api.core, [Scope.READ, Scope.SUBMIT])) as found:
        yield found


def test_a_number_beyond_all_floats_is_shown_as_it_is(
    api: Api, member: Guest, puppet: Puppet
) -> None:
    body = {"device_type": TYPE, "jobs": [{"variables": {"large": -(10**400), "true": True}}]}
    path = f"/batches/{api.post('/v1/batches', body)['id']}"
    pages = [member.get(f"{path}?view={view}") for view in ("jobs", "results")]
    assert [page.status_code for page in pages] == [200, 200]
    assert all("-100000" in page.text for page in pages)


def test_half_a_character_in_a_result_is_no_obstacle(
    api: Api, member: Guest, puppet: Puppet
) -> None:
    path, (job,) = ran(puppet, {"of": 1})
    with api.core.transaction() as tx:
        value = {"value": json.dumps({"counter": {HALF: 3}, "text": HALF}), "job": job}
        changed = "UPDATE result SET value = CAST(:value AS json) WHERE job_id = :job"
        tx.connection.execute(text(changed), value)
    for each in (f"{path}?view=results", f"/jobs/{job}"):
        assert member.get(each).status_code == 200
    for each in (f"/live{path}?view=results", f"/live/jobs/{job}"):
        with opened(api, path=each) as page:
            until(page.is_told)


def test_a_page_of_jobs_reads_only_so_much_of_what_they_bring(
    api: Api, member: Guest, puppet: Puppet
) -> None:
    batch = new_batch(api.core, 0, open=True)
    huge = {"a": "x" * READ_MOST}
    jobs = [{"payload": huge, "runs": 7, "variables": {"n": 5}}, {"payload": {"a": 1}}]
    api.post(f"/v1/batches/{batch}/jobs", {"jobs": jobs})
    with reading(api.core.engine) as reader:
        found = page_of_jobs(reader, PROJECT, UUID(str(batch)), start=0, limit=50)
    large, small = found
    assert (large.payload["runs"], large.payload["variables"]) == (7, {"n": 5})
    assert "payload" not in large.payload and "too large" in large.own
    assert small.payload["payload"] == {"a": 1}
    assert member.get(f"/batches/{batch}").status_code == 200


@pytest.mark.parametrize(
    "odd",
    [
        '{"jobs": [], "tags": 5}',
        '{"jobs": [], "name": {"a": []}, "device_type": [], "priority": "high"}',
        '{"jobs": [], "name": "\\ud800"}',
        '{"jobs": [{"payload": %s}]}' % ("[" * 975 + "]" * 975),
        json.dumps({"jobs": [{"variables": 5}], "sequence": one_pulse(amplitude=None)}),
        json.dumps({"jobs": [{}], "sequence": one_pulse(amplitude=None), "tags": [HALF]}),
    ],
)
def test_an_odd_file_is_answered_with_what_is_wrong(member: Guest, odd: str) -> None:
    for path in ("/submit/look", "/submit/try"):
        assert member.post(path, {"text": odd}, on="/submit").status_code in (200, 422)


@pytest.mark.parametrize("typed", ["1e999", "nan", '{"q0": NaN}', '{"a":' * 5000])
def test_what_no_number_is_keeps_its_place_in_the_form(member: Guest, typed: str) -> None:
    fields = {"text": one_pulse(amplitude=None), "device_type": "EMU_FREE"}
    cells = {"runs": "5", "v.omega": typed}
    answer = member.post("/submit/try", {**fields, **cells}, on="/submit")
    assert answer.status_code == 422
    assert "wrong-jobs[0].variables.omega" in answer.text


def test_a_row_that_was_emptied_is_no_job(api: Api, member: Guest) -> None:
    fields = {"text": one_pulse(), "device_type": "EMU_FREE", "runs": ""}
    answer = member.post("/submit", fields, on="/submit")
    assert answer.status_code == 422
    answer = member.post("/submit", {**fields, "open": "yes"}, on="/submit")
    assert api.get(f"/v1{answer.headers['location']}")["jobs_total"] == 0


def test_more_rows_than_a_form_takes_are_refused_and_never_left_out(member: Guest) -> None:
    fields = {"text": one_pulse(), "device_type": "EMU_FREE", "runs": ["5"] * MANY}
    answer = member.post("/submit", fields, on="/submit")
    assert answer.status_code == 422
    assert f"not {MANY}" in answer.text


def test_a_form_written_in_an_odd_way_is_refused_like_any_other(api: Api) -> None:
    field = 'Content-Disposition: form-data; name="csrf"'
    body = f"--x\r\n{field}\r\n\r\n\\ud800\r\n--x--\r\n".encode()
    kind = {"Content-Type": f"{BINARY}; charset=unicode_escape"}
    with guest(api) as visitor:
        visitor.get("/login")
        answer = visitor.http.post("/login", content=body, headers=kind)
    assert answer.status_code == 403


@pytest.mark.parametrize("told", [b"[" * 3000, b'["good", "\\ud800"]', b"5", b"\xff"])
def test_an_odd_cookie_is_no_obstacle(api: Api, told: bytes) -> None:
    flash = base64.urlsafe_b64encode(told).decode()
    with guest(api) as visitor:
        page = visitor.get("/login", headers={"Cookie": f"holdfast_flash={flash}"})
    assert page.status_code == 200


def test_the_name_of_an_asset_never_becomes_a_path(api: Api) -> None:
    with guest(api) as visitor:
        for name in ("%00.css", "a" * 300 + ".css", "/etc/passwd", "vendor"):
            assert visitor.get(f"/assets/{name}").status_code == 404


def test_a_page_says_which_methods_it_takes(api: Api) -> None:
    with guest(api) as visitor:
        answer = visitor.http.put("/keys")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_a_form_sent_again_with_something_else_says_what_to_do(
    member: Guest, puppet: Puppet
) -> None:
    path = f"/batches/{new_batch(puppet.core, 0, open=True)}"
    member.post(f"{path}/tags", {"tags": "one"}, on=path)
    answer = member.send(f"{path}/tags", {**member.proof(), "tags": "two"})
    assert answer.status_code == 422
    assert "this form was sent before" in unescape(answer.text)
