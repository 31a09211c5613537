"""The pages of a batch and of a job, over real HTTP: what they show, to whom, and what they do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from orchestrator.services.core import Core
from orchestrator.services.submit import submit
from schemas.batch import BatchIn
from schemas.words import Scope
from tests.integration.api_stack import ALL, Api, counts, new_key, serving
from tests.integration.guest import Guest, guest
from tests.integration.played import ran
from tests.integration.puppet import (
    OTHER_PROJECT,
    TYPE,
    Puppet,
    done,
    jobs_of,
    new_batch,
    status_of,
)

VIEWS = ("jobs", "results", "convergence", "parameters", "events", "certificate")
READS = (Scope.READ,)


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    with serving(core) as api:
        yield api


@pytest.fixture
def member(api: Api) -> Iterator[Guest]:
    with guest(api, new_key(api.core, (Scope.READ, Scope.SUBMIT))) as found:
        yield found


@contextmanager
def reader(api: Api, project: UUID | None = None) -> Iterator[Guest]:
    options = {} if project is None else {"project": project}
    with guest(api, new_key(api.core, READS, **options)) as found:
        yield found


def said(answer: Any, guest_: Guest) -> str:
    """The page that a form leads to."""
    assert answer.status_code == 303, answer.text
    return guest_.get(answer.headers["location"]).text


def test_every_part_of_a_batch_is_shown_to_a_reader_without_a_button(
    api: Api, puppet: Puppet
) -> None:
    path, (job, *_) = ran(puppet, {"counter": {"01": 3, "10": 7}}, "out of memory")
    with reader(api) as visitor:
        pages = [visitor.get(f"{path}?view={view}") for view in VIEWS]
        pages.append(visitor.get(f"/jobs/{job}"))
        assert {page.status_code for page in pages} == {200}
        assert not any(f'action="{path}' in page.text for page in pages)
        assert "/jobs/" + job + "/retry" not in pages[-1].text


def test_another_projects_batch_and_job_are_nowhere_to_be_found(api: Api, puppet: Puppet) -> None:
    path, (job,) = ran(puppet, {"of": 1})
    before = counts(api.core)
    with guest(api, new_key(api.core, ALL, OTHER_PROJECT)) as stranger:
        stranger.get("/keys")
        proof = stranger.proof()
        assert proof
        reads = (path, f"{path}/certificate.json", f"/live{path}", f"/jobs/{job}")
        more = (f"/jobs/{job}/result.json", f"/live/jobs/{job}", f"/batches/{uuid4()}")
        verbs = ("close", "cancel", "cancel-pending", "revive", "tags", "rebatch")
        acts = [*(f"{path}/{verb}" for verb in verbs), f"{path}/jobs", f"/jobs/{job}/cancel"]
        fields = {**proof, "runs": "1", "tags": "x", "key": ""}
        answers = [stranger.get(each) for each in (*reads, *more)]
        answers += [stranger.send(each, fields) for each in (*acts, f"/jobs/{job}/retry")]
        assert {answer.status_code for answer in answers} == {404}
    assert counts(api.core) == before | {"api_key": before["api_key"] + 1}


def test_a_reader_and_a_forged_form_change_nothing(api: Api, puppet: Puppet) -> None:
    batch = new_batch(puppet.core, 2, open=True)
    with reader(api) as visitor:
        answer = visitor.post(f"/batches/{batch}/cancel", on=f"/batches/{batch}")
        assert answer.status_code == 403
    with guest(api, new_key(api.core)) as owner:
        assert owner.send(f"/batches/{batch}/cancel", {"csrf": "0" * 64}).status_code == 403
    assert jobs_of(puppet.core, batch) == ["PENDING", "PENDING"]


def test_an_open_batch_takes_a_job_once_however_often_the_form_is_sent(
    member: Guest, puppet: Puppet
) -> None:
    batch = new_batch(puppet.core, 1, open=True)
    fields = {"runs": "5", "payload": '{"do": "noop"}'}
    first = member.post(f"/batches/{batch}/jobs", fields, on=f"/batches/{batch}")
    again = member.send(f"/batches/{batch}/jobs", {**member.proof(), **fields})
    assert first.headers["location"] == again.headers["location"]
    assert "The job is added." in said(first, member)
    assert len(jobs_of(puppet.core, batch)) == 2


def test_a_refused_form_says_which_field_and_keeps_what_stood_in_it(
    member: Guest, puppet: Puppet
) -> None:
    path = f"/batches/{new_batch(puppet.core, 1, open=True)}"
    for fields, named in (
        ({"runs": "0"}, "<strong>runs</strong>"),
        ({"runs": "many"}, "<strong>runs</strong>"),
        ({"variables": "{'a': 1}"}, "<strong>variables</strong> must be JSON"),
        ({"payload": "[1]"}, "<strong>payload</strong> must be an object"),
    ):
        answer = member.post(f"{path}/jobs", fields, on=path)
        assert answer.status_code == 422
        assert named in answer.text
        assert '<details class="menu may for-add" id="add-job" open>' in answer.text
        (kept,) = fields.values()
        assert kept.replace("'", "&#39;") in answer.text
    for ordinals in ("5", "1-x", "2-1", "1-99999999", "-1"):
        answer = member.post(f"{path}/rebatch", {"ordinals": ordinals}, on=path)
        assert answer.status_code == 422
        assert "<strong>numbers</strong>" in answer.text


def test_a_batch_is_closed_and_its_pending_jobs_are_canceled_from_its_page(
    member: Guest, puppet: Puppet
) -> None:
    batch = new_batch(puppet.core, 3, open=True)
    path = f"/batches/{batch}"
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    answer = member.post(f"{path}/cancel-pending", on=path)
    assert "2 jobs canceled." in said(answer, member)
    assert jobs_of(puppet.core, batch) == ["RUNNING", "CANCELED", "CANCELED"]
    assert "The batch is closed" in said(member.post(f"{path}/close", on=path), member)
    puppet.answer(window, done(window.jobs[0]))
    assert status_of(puppet.core, batch) == "DONE"
    late = said(member.post(f"{path}/cancel", on=path), member)
    assert "Not done: the batch is DONE" in late


def test_a_canceled_batch_is_revived_and_a_done_one_is_not(member: Guest, puppet: Puppet) -> None:
    batch = new_batch(puppet.core, 1)
    other = new_batch(puppet.core, 1)
    path = f"/batches/{other}"
    assert "The batch is canceled." in said(member.post(f"{path}/cancel", on=path), member)
    assert "can-revive" in member.page
    assert "waits for its turn" in said(member.post(f"{path}/revive", on=path), member)
    assert status_of(puppet.core, other) == "PENDING"
    puppet.serve_all()
    path = f"/batches/{batch}"
    assert "Not done" in said(member.post(f"{path}/revive", on=path), member)


def test_rebatch_takes_the_jobs_that_were_named(member: Guest, puppet: Puppet) -> None:
    path, _ = ran(puppet, {"of": 1}, "it broke", {"of": 3}, "it broke")
    fields = {"statuses": "ERROR", "ordinals": "1-2", "name": "again", "open": "yes"}
    answer = member.post(f"{path}/rebatch", fields, on=path)
    page = said(answer, member)
    assert "This is the new batch." in page
    assert ">again</h1>" in page
    new = UUID(answer.headers["location"].rpartition("/")[2])
    assert len(jobs_of(puppet.core, new)) == 1


def test_a_job_is_retried_in_its_open_batch_or_else_in_a_new_one(
    member: Guest, puppet: Puppet
) -> None:
    path, (job,) = ran(puppet, "it broke")
    assert "Retry in a new batch" in member.get(f"/jobs/{job}").text
    answer = member.post(f"/jobs/{job}/retry", on=f"/jobs/{job}")
    assert answer.headers["location"].startswith("/batches/")
    assert answer.headers["location"] != path
    puppet.drop_messages()
    batch = new_batch(puppet.core, 1, open=True)
    listed = member.get(f"/batches/{batch}").text
    fresh = listed.partition('<a href="/jobs/')[2][:36]
    member.post(f"/jobs/{fresh}/cancel", {"interrupt": "yes"}, on=f"/jobs/{fresh}")
    answer = member.post(f"/jobs/{fresh}/retry", on=f"/jobs/{fresh}")
    assert answer.headers["location"].startswith("/jobs/")
    assert len(jobs_of(puppet.core, batch)) == 2


def test_an_error_is_told_with_what_to_do_about_it(member: Guest, puppet: Puppet) -> None:
    said = "no value for <omega>: the sequence declares it"
    _, (job,) = ran(puppet, said)
    page = member.get(f"/jobs/{job}").text
    assert "Its variables do not fit the sequence." in page
    assert "no value for &lt;omega&gt;" in page
    assert "Correct the variables" in page


def test_a_result_is_shown_as_it_is_whatever_its_shape(member: Guest, puppet: Puppet) -> None:
    values = [
        {"counter": {"01": 1, "10": 9}},
        {"counter": {f"{n:020b}": n + 1 for n in range(2000)}},
        {"text": "<script>alert(1)</script>" * 4000},
        {"energy": 10**400},
        {"energy": -1.5, "deep": json.loads("[" * 90 + "]" * 90)},
        [1, 2, 3],
        5,
        None,
    ]
    path, jobs = ran(puppet, *values)
    pages = [member.get(f"{path}?view={view}") for view in VIEWS]
    pages += [member.get(f"/jobs/{job}") for job in jobs]
    assert {page.status_code for page in pages} == {200}
    assert not any("<script>alert" in page.text for page in pages)
    assert "1984 others" in pages[len(VIEWS) + 1].text.replace(",", "")
    assert member.get(f"/jobs/{jobs[0]}/result.json").json() == values[0]


def test_the_lowest_objective_over_jobs_is_drawn(member: Guest, puppet: Puppet) -> None:
    path, _ = ran(puppet, {"energy": -1.0}, {"energy": -3.25}, {"energy": "low"}, {"cost": 2})
    page = member.get(f"{path}?view=convergence").text
    assert 'Lowest energy: <span class="mono">-3.25</span>' in page
    assert "job 2, of 2 jobs" in page


def test_a_long_batch_is_paged_and_filtered(member: Guest, puppet: Puppet) -> None:
    path = f"/batches/{new_batch(puppet.core, 120, open=True)}"
    rows = [member.get(f"{path}?page={page}").text.count('<tr id="job-') for page in (1, 2, 3, 4)]
    assert rows == [50, 50, 20, 0]
    assert member.get(f"{path}?status=DONE").text.count('<tr id="job-') == 0
    assert member.get(f"{path}?status=PENDING&page=3").text.count('<tr id="job-') == 20
    odd = ("?page=0", "?page=x", "?view=none", "?status=LOST", "?view=events&before=x")
    assert {member.get(path + each).status_code for each in odd} == {422}


def test_a_waiting_batch_says_its_place_and_why_it_waits(member: Guest, puppet: Puppet) -> None:
    new_batch(puppet.core, 1, open=True)
    waiting = [new_batch(puppet.core, 1) for _ in range(2)]
    page = member.get(f"/batches/{waiting[1]}").text
    assert ">#2</span>" in page
    assert "1 batch is ahead of it" in page
    assert "held by an open batch" in page


def test_a_page_is_told_only_of_the_jobs_that_it_shows(api: Api, puppet: Puppet) -> None:
    batch = new_batch(puppet.core, 55)
    with reader(api) as visitor:
        wanted = told(visitor.get(f"/batches/{batch}?page=2").text)
        address = f"/live/batches/{batch}?view=jobs&page=2"
        with visitor.http.stream("GET", address, timeout=20) as stream:
            lines = stream.iter_lines()
            next(line for line in lines if 'id="jobs"' in line)
            puppet.serve_all()
            heard = ""
            for line in lines:
                heard += line
                if "badge DONE" in heard.partition('id="batch-head"')[2] and told(heard) >= wanted:
                    break
    assert told(heard) == wanted
    assert len(wanted) == 5


def told(html: str) -> set[str]:
    """The jobs whose rows are in it."""
    return {part[:36] for part in html.split('<tr id="job-')[1:]}


def test_what_is_no_sequence_is_shown_all_the_same(
    core: Core, member: Guest, puppet: Puppet
) -> None:
    for sequence in (
        "no json",
        '{"register": 5}',
        '"text"',
        "[1]",
        '{"register": [], "device": 1}',
    ):
        body = BatchIn(device_type=TYPE, sequence=sequence, open=True, jobs=[])
        with core.transaction() as tx:
            batch = submit(core, tx, UUID(int=1), None, body)
        assert member.get(f"/batches/{batch}?view=parameters").status_code == 200


def test_tags_are_replaced_as_they_are_written(member: Guest, puppet: Puppet) -> None:
    path = f"/batches/{new_batch(puppet.core, 1, tags=['old'])}"
    on = f"{path}?view=parameters"
    page = said(member.post(f"{path}/tags", {"tags": " one, two,,one "}, on=on), member)
    assert 'value="one, two"' in page
    answer = member.post(f"{path}/tags", {"tags": "x" * 101}, on=on)
    assert answer.status_code == 422
    assert "must have at most 100 characters" in answer.text


def test_a_reader_is_told_why_there_is_no_certificate_yet(api: Api, puppet: Puppet) -> None:
    path = f"/batches/{new_batch(puppet.core, 1, open=True)}"
    with reader(api) as visitor:
        page = visitor.get(f"{path}?view=certificate").text
        assert "No certificate yet" in page
        assert "it is not over yet" in page
        assert visitor.get(f"{path}/certificate.json").status_code == 409
