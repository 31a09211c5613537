"""The list of batches: what its filter shows, what its acts do to whom, what a download holds."""

import io
import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID
from zipfile import ZipFile

import pytest
from sqlalchemy import text

from orchestrator.api.portal import bulk, part
from orchestrator.api.portal.listed import Listed
from orchestrator.api.portal.topics import Swap
from orchestrator.services.core import Core
from orchestrator.store.listings_reading import reading
from schemas.event import Event
from schemas.words import Role, Scope
from tests.integration.api_stack import Api, add_device, new_key, serving
from tests.integration.guest import Guest, add_user, guest
from tests.integration.puppet import OTHER_PROJECT, PROJECT, Puppet, failed, new_batch, status_of
from tests.integration.test_api_results import gave, stored

_ROW = re.compile(r'<tr id="batch-([0-9a-f-]{36})"')


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    add_device(core, "silent")
    with serving(core) as api:
        yield api


@pytest.fixture
def member(api: Api) -> Iterator[Guest]:
    add_user(api.core, "milan", Role.MEMBER)
    with guest(api) as found:
        assert found.sign_in("milan").status_code == 303
        yield found


def rows(visitor: Guest, **query: Any) -> list[str]:
    answer = visitor.get("/batches", params=query)
    assert answer.status_code == 200, answer.text
    return _ROW.findall(answer.text)


def three(core: Core) -> list[str]:
    """Oldest first; nothing runs them."""
    fields: list[dict[str, Any]] = [{"name": "first", "tags": ["a"]}, {"tags": ["a", "b"]}, {}]
    return [str(new_batch(core, 2, **each)) for each in fields]


def test_a_filter_shows_what_matches_newest_first(api: Api, puppet: Puppet, member: Guest) -> None:
    first, second, third = three(api.core)
    assert rows(member) == [third, second, first]
    assert rows(member, tag="a") == [second, first]
    assert rows(member, name="first", status=["ADMITTED", "DONE"]) == [first]
    assert rows(member, status="PENDING", device_type="TEST") == [third, second]
    assert rows(member, since="2020-01-01", until="2021-01-01", zone="Europe/Madrid") == []
    assert rows(member, open="yes", tag="", user="") == []


def test_who_submitted_is_shown_and_can_be_asked_for(api: Api, member: Guest) -> None:
    three(api.core)
    with guest(api) as other:
        add_user(api.core, "olga", Role.OWNER)
        other.sign_in("olga")
        body = {"act": "rebatch", "id": rows(member)[:1], "jobs": "all"}
        assert other.post("/batches/bulk", body, on="/keys").status_code == 303
    (user,) = re.findall(r'<option value="([0-9a-f-]{36})">olga', member.get("/batches").text)
    assert len(rows(member, user=user)) == 1
    assert "olga</td>" in member.page


def test_pages_lead_to_what_is_older_and_back(api: Api, member: Guest) -> None:
    made = [str(new_batch(api.core, 1)) for _ in range(52)][::-1]
    assert rows(member) == made[:50]
    older = re.search(r'href="(/batches\?before=[^"]+)"', member.page)
    assert older is not None
    assert _ROW.findall(member.get(older[1]).text) == made[50:]
    newer = re.search(r'href="(/batches\?after=[^"]+)"', member.page)
    assert newer is not None
    assert _ROW.findall(member.get(newer[1]).text) == made[:50]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "FINISHED"}, "status"),
        ({"user": "me"}, "user"),
        ({"since": "yesterday"}, "since"),
        ({"before": "????"}, "cursor"),
        ({"tag": "x" * 201}, "tag"),
    ],
)
def test_a_filter_that_means_nothing_is_refused_by_name(
    member: Guest, query: dict[str, str], field: str
) -> None:
    answer = member.get("/batches", params=query)
    assert (answer.status_code, f"<strong>{field}</strong>" in answer.text) == (422, True)


def test_another_project_sees_none_of_it_and_changes_none_of_it(api: Api) -> None:
    ours = three(api.core)
    with guest(api, new_key(api.core, project=OTHER_PROJECT)) as stranger:
        assert rows(stranger) == []
        assert "No batches yet" in stranger.page
        for kind in ("zip", "json"):
            assert stranger.get(f"/batches/results.{kind}?id={ours[0]}").status_code == 404
            assert stranger.get(f"/batches/{ours[0]}/results.{kind}").status_code == 404
        for act in ("cancel", "rebatch"):
            stranger.post("/batches/bulk", {"act": act, "id": ours}, on="/batches?tag=x")
            stranger.post("/batches/bulk", {"act": act, "all": "yes"}, on="/batches?tag=x")
    assert [status_of(api.core, UUID(each)) for each in ours] == ["PENDING"] * 3


def test_a_reader_is_offered_no_change_and_is_refused_one(api: Api) -> None:
    (batch, *_) = three(api.core)
    with guest(api, new_key(api.core, [Scope.READ])) as reader:
        assert rows(reader)
        assert "Cancel" not in reader.page
        assert reader.get("/batches/bulk", params={"act": "cancel", "id": batch}).status_code == 403
        sent = {"act": "cancel", "id": batch}
        assert reader.post("/batches/bulk", sent, on="/batches").status_code == 403
        assert reader.get("/batches/bulk", params={"act": "download", "id": batch}).is_success
    assert status_of(api.core, UUID(batch)) == "PENDING"


def test_the_chosen_ones_are_canceled_and_the_rest_is_not(api: Api, member: Guest) -> None:
    first, second, third = three(api.core)
    asked = member.get("/batches/bulk", params={"act": "cancel", "id": [first, second]})
    assert "Cancel 2 batches?" in asked.text
    sent = {**member.proof(), "act": "cancel", "id": [first, second], "interrupt": "yes"}
    for said in ("2 batches canceled.", "0 batches canceled."):
        assert member.send("/batches/bulk", sent).headers["location"] == "/batches"
        assert said in member.get("/batches").text
    assert [status_of(api.core, UUID(each)) for each in (first, second, third)] == [
        *("CANCELED", "CANCELED", "PENDING")
    ]


def test_after_an_act_on_some_the_list_is_filtered_as_before(api: Api, member: Guest) -> None:
    first, *_ = three(api.core)
    listed = member.get("/batches", params={"tag": "a"}).text
    assert '<input type="hidden" name="tag" value="a">' in listed
    asked = member.get("/batches/bulk", params={"act": "cancel", "id": [first], "tag": "a"})
    hidden = dict(re.findall(r'<input type="hidden" name="(id|tag)" value="([^"]+)"', asked.text))
    sent = {**member.proof(), **hidden, "act": "cancel"}
    assert member.send("/batches/bulk", sent).headers["location"] == "/batches?tag=a"
    assert status_of(api.core, UUID(first)) == "CANCELED"


def test_a_whole_filter_is_canceled_in_parts_and_what_came_later_is_left(
    api: Api, member: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = three(api.core)
    two = dict(bulk.TAKES) | {"cancel": lambda *given: part.part_of(*given, most=1)}
    monkeypatch.setattr(bulk, "TAKES", two)
    asked = member.get("/batches/bulk", params={"act": "cancel", "all": "yes", "tag": "a"})
    assert "the newest 1 of 2" in asked.text
    (before,) = re.findall(r'name="before" value="([^"]+)"', asked.text)
    later = str(new_batch(api.core, 1, tags=["a"]))
    sent = {**member.proof(), "act": "cancel", "all": "yes", "tag": "a", "before": before}
    on = member.send("/batches/bulk", sent).headers["location"]
    assert status_of(api.core, UUID(second)) == "CANCELED"
    rest = member.get(on)
    assert "There are more." in rest.text
    (before,) = re.findall(r'name="before" value="([^"]+)"', rest.text)
    sent = {**member.proof(), "act": "cancel", "all": "yes", "tag": "a", "before": before}
    assert member.send("/batches/bulk", sent).headers["location"] == "/batches?tag=a"
    left = [status_of(api.core, UUID(each)) for each in (first, third, later)]
    assert left == ["CANCELED", "PENDING", "PENDING"]


def test_a_form_that_is_sent_twice_makes_one_new_batch_of_each(api: Api, member: Guest) -> None:
    open_one = str(new_batch(api.core, 1, open=True))
    closed = str(new_batch(api.core, 3))
    member.get("/batches/bulk", params={"act": "rebatch", "id": [open_one, closed]})
    sent = {**member.proof(), "act": "rebatch", "id": [open_one, closed], "jobs": "all"}
    for _ in range(2):
        member.send("/batches/bulk", sent)
        told = member.get("/batches").text
        assert "1 new batch submitted." in told
        assert "1 left out: the batch is open" in told
    with api.core.transaction() as tx:
        parents = tx.connection.execute(
            text("SELECT parent_id, jobs_total FROM batch WHERE parent_id IS NOT NULL")
        ).all()
    assert parents == [(UUID(closed), 3)]


def test_only_what_failed_is_submitted_again(api: Api, puppet: Puppet, member: Guest) -> None:
    flawed, fine = new_batch(api.core, 2), new_batch(api.core, 1)
    window = puppet.take()
    puppet.answer(window, failed(window.jobs[0]))
    puppet.serve_all()
    sent = {"act": "rebatch", "id": [str(flawed), str(fine)], "jobs": "failed"}
    assert member.post("/batches/bulk", sent, on="/batches").status_code == 303
    told = member.get("/batches").text
    assert "1 new batch submitted. 1 left out: none of its jobs failed" in told
    assert "0</b> of 1 done" in told


def test_a_form_of_another_page_than_ours_changes_nothing(api: Api, member: Guest) -> None:
    (batch, *_) = three(api.core)
    answer = member.send("/batches/bulk", {"act": "cancel", "id": batch, "csrf": "0" * 64})
    assert (answer.status_code, status_of(api.core, UUID(batch))) == (403, "PENDING")
    for sent in (
        {"act": "cancel"},
        {"act": "erase", "id": batch},
        {"act": "cancel", "id": "x"},
        {"act": "rebatch", "id": batch, "jobs": "some"},
    ):
        assert member.post("/batches/bulk", sent, on="/batches").status_code == 422


def test_a_download_holds_every_job_with_its_result_as_the_device_gave_it(
    api: Api, puppet: Puppet, member: Guest
) -> None:
    batch, waits = new_batch(api.core, 2, name="../odd name"), new_batch(api.core, 1)
    window = puppet.take()
    large = b'{"bits": "' + b"01" * 400_000 + b'"}'
    puppet.answer(window, gave(window.jobs[0], {"x": [1.5e-300, "é"]}))
    window = puppet.take()
    puppet.answer(window, stored(api, window.jobs[0], large))
    ids = {"id": [str(batch), str(waits)]}
    listed = member.get("/batches/results.json", params=ids).json()["batches"]
    assert [each["id"] for each in listed] == [str(waits), str(batch)]
    assert [job["status"] for each in listed for job in each["jobs"]] == ["PENDING", "DONE", "DONE"]
    given = member.get("/batches/results.zip", params=ids)
    assert given.headers["content-type"] == "application/zip"
    with ZipFile(io.BytesIO(given.content)) as archive:
        assert archive.testzip() is None
        index = json.loads(archive.read("index.json"))["batches"]
        folder = next(each["folder"] for each in index if each["id"] == str(batch))
        assert "/" not in folder
        jobs = [json.loads(archive.read(f"{folder}/{n:05d}.json")) for n in (1, 2)]
        assert len(archive.namelist()) == 4
    assert [job["result"] for job in jobs] == [{"x": [1.5e-300, "é"]}, json.loads(large)]
    alone = member.get(f"/batches/{batch}/results.json")
    assert alone.json()["batches"] == listed[1:]
    assert f'filename="odd-name-{str(batch)[-8:]}.json"' in alone.headers["content-disposition"]


def told(api: Api, page: Listed, *batches: UUID | str, job: bool = False) -> list[Swap]:
    events = [
        Event.model_validate(
            {"id": "1-1", "kind": "x", "batch_id": each, "at": "2026-01-01T00:00:00Z"}
            | ({"job_id": each} if job else {})
        )
        for each in batches
    ]
    with reading(api.core.engine) as reader:
        return list(page.news(reader, PROJECT, events))


def all_of(api: Api, page: Listed) -> Listed:
    with reading(api.core.engine) as reader:
        (whole,) = page.news(reader, PROJECT, None)
    assert whole.id == "listing"
    return page


def test_a_new_batch_comes_first_and_only_where_it_matches(api: Api) -> None:
    three(api.core)
    page, others = all_of(api, Listed({"tag": "a"})), all_of(api, Listed({"tag": "b"}))
    new = new_batch(api.core, 1, tags=["a"])
    (swap, *rest) = told(api, page, new)
    assert (swap.id, swap.how, swap.into, swap.most) == (f"batch-{new}", "afterbegin", "rows", 50)
    assert all(each.how == "outerMorph" for each in rest)
    assert [each for each in told(api, others, new) if str(new) in each.html] == []


def test_a_row_that_no_longer_matches_stays_and_says_so(api: Api, puppet: Puppet) -> None:
    batch = new_batch(api.core, 1)
    page = all_of(api, Listed({"statuses": ["ADMITTED"]}))
    assert "no longer matches" not in told(api, page, batch)[0].html
    puppet.serve_all()
    (swap,) = told(api, page, batch)
    assert "no longer matches" in swap.html
    assert "done</span>" in swap.html


def test_a_job_that_ends_touches_its_own_row_alone(api: Api) -> None:
    _, second, _ = three(api.core)
    page = all_of(api, Listed({}))
    assert [each.id for each in told(api, page, second, job=True)] == [f"batch-{second}"]
    assert len(told(api, page, second)) == 3


def test_a_batch_older_than_the_page_does_not_come_to_it(api: Api) -> None:
    old = new_batch(api.core, 1)
    for _ in range(50):
        new_batch(api.core, 1)
    page = all_of(api, Listed({}))
    assert told(api, page, old, job=True) == []
