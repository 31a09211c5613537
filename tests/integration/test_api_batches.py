"""Batches and jobs over HTTP, from submission to the end."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from orchestrator.services.core import Core
from orchestrator.services.submit import submit
from schemas.batch import Batch, BatchCreated, BatchIn
from schemas.device import Device
from schemas.job import Job
from tests.integration.api_stack import TYPE, Api, add_device, batch_body, serving
from tests.integration.puppet import OTHER_PROJECT, Puppet, call, new_batch


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    add_device(core, "dev-1")
    with serving(core) as api:
        yield api


def test_a_created_batch_is_answered_with_its_jobs_in_order(api: Api) -> None:
    answer = api.call("POST", "/v1/batches", batch_body(3, name="mine", tags=["a", "b"]))
    created = BatchCreated.model_validate(answer.json())
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/batches/{created.id}"
    assert [(job.ordinal, job.runs) for job in created.jobs] == [(1, 1), (2, 2), (3, 3)]
    assert (created.name, created.tags, created.jobs_left) == ("mine", ["a", "b"], 3)


def test_a_job_is_answered_with_every_field_of_the_contract(api: Api) -> None:
    job = {"runs": 7, "variables": {"omega": [1.5, 1e-30]}, "payload": {"é": [None, {"x": "\t"}]}}
    created = api.batch(jobs=0, open=True)
    added = api.post(f"/v1/batches/{created['id']}/jobs", {"jobs": [job]})["jobs"][0]
    assert set(added) == set(Job.model_fields)
    assert {name: added[name] for name in job} == job
    assert api.get(f"/v1/jobs/{added['id']}") == added


def test_a_batch_is_answered_with_every_field_of_the_contract(api: Api) -> None:
    created = api.batch()
    assert set(api.get(f"/v1/batches/{created['id']}")) == set(Batch.model_fields)


def test_a_batch_runs_to_its_end(api: Api, puppet: Puppet) -> None:
    created = api.batch(3)
    puppet.serve_all()
    done = api.get(f"/v1/batches/{created['id']}")
    assert (done["status"], done["jobs_done"], done["queue_position"]) == ("DONE", 3, None)
    assert {job["device"] for job in api.get("/v1/jobs")["items"]} == {"dev-1"}


def test_an_admitted_batch_names_its_device(api: Api, puppet: Puppet) -> None:
    created = api.batch(open=True)
    assert api.get(f"/v1/batches/{created['id']}")["devices"] == ["dev-1"]
    assert api.get("/v1/devices/dev-1")["batch_id"] == created["id"]


def test_queue_positions_follow_priority_and_then_age(api: Api) -> None:
    first, second, urgent = api.batch(), api.batch(), api.batch(priority=5)
    positions = {b["id"]: b["queue_position"] for b in api.get("/v1/batches")["items"]}
    assert [positions[b["id"]] for b in (urgent, first, second)] == [1, 2, 3]
    assert api.get(f"/v1/batches/{second['id']}")["queue_position"] == 3


def test_a_queue_position_counts_other_projects_batches(api: Api) -> None:
    call(api.core, submit, OTHER_PROJECT, None, BatchIn.model_validate(batch_body()))
    assert api.batch()["queue_position"] == 2


def test_a_waiting_batch_says_that_no_device_is_online(api: Api) -> None:
    assert api.batch()["reason"] == f"no device of type {TYPE} is online"


def test_a_waiting_batch_says_why_its_device_is_paused(api: Api, puppet: Puppet) -> None:
    api.post("/v1/devices/dev-1/pause", {"reason": "calibration"})
    assert api.batch()["reason"] == "device dev-1 is paused: calibration"


def test_a_batch_that_only_waits_for_its_turn_gives_no_reason(api: Api, puppet: Puppet) -> None:
    api.batch(open=True)
    waiting = api.batch()
    assert (waiting["status"], waiting["reason"]) == ("PENDING", None)


def test_a_closed_batch_without_jobs_left_is_done(api: Api, puppet: Puppet) -> None:
    created = api.batch(open=True)
    puppet.serve_all()
    assert api.post(f"/v1/batches/{created['id']}/close")["status"] == "DONE"


def test_a_canceled_batch_can_be_revived(api: Api) -> None:
    created = api.batch(2)
    path = f"/v1/batches/{created['id']}"
    canceled = api.post(f"{path}/cancel")
    assert (canceled["status"], canceled["jobs_canceled"]) == ("CANCELED", 2)
    revived = api.post(f"{path}/revive")
    assert (revived["status"], revived["jobs_left"]) == ("PENDING", 2)


def test_canceling_many_gives_one_verdict_each_in_the_order_given(api: Api) -> None:
    over, live = api.batch(), api.batch()
    api.post(f"/v1/batches/{over['id']}/cancel")
    unknown = str(UUID(int=9))
    ids = [unknown, live["id"], over["id"]]
    verdicts = api.post("/v1/batches/cancel", {"ids": ids})["verdicts"]
    assert [(v["id"], v["verdict"]) for v in verdicts] == list(
        zip(ids, ["not_found", "canceled", "ended"], strict=True)
    )


def test_jobs_are_canceled_by_filter(api: Api) -> None:
    created = api.batch(4)
    body = {"filter": {"min_runs": 3}}
    verdicts = api.post(f"/v1/batches/{created['id']}/jobs/cancel", body)["verdicts"]
    assert [v["verdict"] for v in verdicts] == ["canceled", "canceled"]
    assert [v["id"] for v in verdicts] == [job["id"] for job in created["jobs"][2:]]


def test_a_job_is_canceled_once_and_then_has_ended(api: Api) -> None:
    path = f"/v1/jobs/{api.batch()['jobs'][0]['id']}/cancel"
    assert [api.post(path)["verdict"] for _ in range(2)] == ["canceled", "ended"]


def test_a_running_job_is_left_to_end_unless_it_is_to_be_interrupted(
    api: Api, puppet: Puppet
) -> None:
    job = api.batch()["jobs"][0]
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    refused = api.call("POST", f"/v1/jobs/{job['id']}/cancel", {"interrupt": False})
    assert (refused.status_code, refused.json()["code"]) == (409, "still_running")
    assert api.post(f"/v1/jobs/{job['id']}/cancel")["verdict"] == "interrupting"


def test_a_retried_job_is_a_new_one_with_a_parent(api: Api) -> None:
    created = api.batch(open=True)
    old = created["jobs"][0]
    again = api.post(f"/v1/jobs/{old['id']}/retry")["jobs"]
    assert [(j["parent_id"], j["ordinal"], j["runs"]) for j in again] == [(old["id"], 2, 1)]


def test_a_rebatch_is_a_child_with_the_chosen_jobs(api: Api) -> None:
    old = api.batch(3)
    new = api.post(f"/v1/batches/{old['id']}/rebatch", {"filter": {"max_runs": 2}, "name": "rest"})
    assert (new["parent_id"], new["name"], len(new["jobs"])) == (old["id"], "rest", 2)


def test_tags_are_replaced(api: Api) -> None:
    created = api.batch(tags=["old"])
    answer = api.call("PUT", f"/v1/batches/{created['id']}/tags", {"tags": ["new"]})
    assert answer.json()["tags"] == ["new"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"status": "CANCELED"}, ["over"]),
        ({"status": ["CANCELED", "PENDING"]}, ["open", "tagged", "over"]),
        ({"tag": "blue"}, ["tagged"]),
        ({"open": "true"}, ["open"]),
        ({"name": "over"}, ["over"]),
        ({"device_type": "OTHER"}, []),
        ({"created_after": "2999-01-01T00:00:00Z"}, []),
        ({"created_before": "2999-01-01T00:00:00Z", "order": "asc"}, ["over", "tagged", "open"]),
    ],
)
def test_batches_are_listed_by_filter(api: Api, wanted: dict[str, Any], found: list[str]) -> None:
    over = api.batch(name="over")
    api.post(f"/v1/batches/{over['id']}/cancel")
    api.batch(name="tagged", tags=["blue"])
    api.batch(name="open", open=True)
    assert [b["name"] for b in api.get("/v1/batches", **wanted)["items"]] == found


def test_jobs_are_listed_by_filter(api: Api) -> None:
    created = api.batch(3)
    api.post(f"/v1/jobs/{created['jobs'][1]['id']}/cancel")
    wanted = {"batch_id": created["id"], "status": "PENDING"}
    assert [job["ordinal"] for job in api.get("/v1/jobs", **wanted)["items"]] == [1, 3]
    assert api.get("/v1/jobs", created_after="2999-01-01T00:00:00Z")["items"] == []
    assert len(api.get("/v1/jobs", created_after="2020-01-01T00:00:00Z")["items"]) == 3


def test_an_operator_takes_a_device_out_of_service_and_back(api: Api, puppet: Puppet) -> None:
    why = {"reason": "calibration"}
    paused = api.post("/v1/devices/dev-1/pause", why)
    assert (paused["status"], paused["reason"]) == ("PAUSED", "calibration")
    assert api.post("/v1/devices/dev-1/resume")["status"] == "ONLINE"
    assert api.post("/v1/devices/dev-1/drain", why)["status"] == "DRAINING"


def test_a_device_without_a_worker_is_offline_and_shows_its_queue(api: Api) -> None:
    api.batch()
    (device,) = [Device.model_validate(each) for each in api.get("/v1/devices")["items"]]
    assert (device.status, device.queue_length, device.executor) == ("OFFLINE", 1, "scripted")


def test_a_retired_device_is_gone(api: Api) -> None:
    assert api.call("DELETE", "/v1/devices/dev-1").status_code == 204
    assert api.get("/v1/devices")["items"] == []
    assert api.call("GET", "/v1/devices/dev-1").status_code == 404


def test_another_projects_batch_on_a_device_is_told_and_not_named(api: Api, puppet: Puppet) -> None:
    assert api.get("/v1/devices/dev-1")["occupied"] is False
    body = BatchIn.model_validate(batch_body(open=True))
    call(api.core, submit, OTHER_PROJECT, None, body)
    device = api.get("/v1/devices/dev-1")
    assert (device["occupied"], device["batch_id"]) == (True, None)


def test_the_limits_are_those_of_the_settings(api: Api) -> None:
    limits, settings = api.get("/v1/limits"), api.core.settings
    assert limits["max_batch_size"] == settings.max_batch_size
    assert limits["max_duration_s"] is None


def test_a_batch_made_elsewhere_is_read_the_same(api: Api) -> None:
    assert api.get(f"/v1/batches/{new_batch(api.core, 2)}")["jobs_total"] == 2
