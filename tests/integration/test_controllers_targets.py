"""Compute targets: what their owner sees of them, and does with them."""

from typing import Any
from uuid import UUID

import pytest

from orchestrator.errors import NotCertifiable
from orchestrator.services.certify import certify
from orchestrator.services.core import Core
from tests.integration.api_stack import add_device, new_key, serving
from tests.integration.puppet import OTHER_PROJECT, PROJECT
from tests.integration.remote_stack import Controller, controller, register, statuses, verified
from tests.integration.submit_stack import waters

TARGETS = "/api/v1/compute-targets"


def target(one: Controller) -> dict[str, Any]:
    found = [each for each in one.api.get(TARGETS) if each["name"] == one.name]
    assert found, "it is not listed"
    return dict(found[0])


def test_the_managed_pool_comes_first_and_then_the_controllers_by_name(core: Core) -> None:
    add_device(core, "chem-a", "managed", "xtb")
    with serving(core) as api:
        for name in ("zeus", "dgx"):
            register(api, name)
        assert [each["name"] for each in api.get(TARGETS)] == ["managed", "dgx", "zeus"]


def test_what_pending_and_running_jobs_take_is_not_free(core: Core) -> None:
    with controller(core, lanes=2) as one:
        one.submit(3, lanes=2)
        one.begin(free={"workload": 1})
        seen = target(one)
        assert (seen["max_cores"], seen["free_cores"]) == (4, 1)
        assert (seen["running_jobs"], seen["pending_jobs"]) == (1, 2)


@pytest.mark.parametrize("verb", ["pause", "drain", "resume"])
def test_a_lane_is_in_service_as_its_controller_is(core: Core, verb: str) -> None:
    """An operator's word would be undone by the next call of the controller."""
    with controller(core) as one:
        [lane] = [each["name"] for each in one.api.get("/v1/devices")["items"]]
        body = None if verb == "resume" else {"reason": "mine now"}
        answer = one.api.call("POST", f"/v1/devices/{lane}/{verb}", body)
        assert (answer.status_code, "its compute target" in answer.json()["detail"]) == (409, True)
        assert one.api.get(f"/v1/devices/{lane}")["status"] == "ONLINE"


def test_a_paused_target_ends_what_runs_and_begins_nothing_until_it_is_resumed(core: Core) -> None:
    with controller(core) as one:
        batch = one.submit(2)
        lease = one.begin()
        paused = one.api.post(f"{TARGETS}/dgx/pause", {"reason": "new fans"})
        assert (paused["state"], paused["reason"]) == ("paused", "new fans")
        assert one.acquire() == []
        assert one.beat(lease) == ["ok"]
        assert one.complete(lease).status_code == 200
        assert one.acquire() == []
        one.api.post(f"{TARGETS}/dgx/resume")
        one.complete(one.begin())
        assert statuses(one, batch) == ["DONE", "DONE"]


def test_a_paused_target_stays_so_when_its_controller_starts_again(core: Core) -> None:
    with controller(core) as one:
        one.api.post(f"{TARGETS}/dgx/pause")
        one.again().submit()
        assert target(one)["state"] == "paused"


def test_a_draining_controller_is_told_so_and_comes_back_as_new(core: Core) -> None:
    with controller(core) as one:
        one.api.post(f"{TARGETS}/dgx/drain")
        one.submit()
        told = one.call("POST", "/api/v1/controllers/self/acquire", {"request_id": "r"}).json()
        assert told == {"leases": [], "state": "draining"}
        one.call("POST", "/api/v1/controllers/self/deregister")
        new = one.again()
        assert target(new)["state"] == "online"
        new.complete(new.begin())


def test_a_target_with_jobs_is_removed_only_by_force(core: Core) -> None:
    with controller(core) as one:
        batch = one.submit(3)
        lease = one.begin()
        refused = one.api.call("DELETE", f"{TARGETS}/dgx")
        assert (refused.status_code, "3 jobs" in refused.text) == (409, True)
        gone = one.api.call("DELETE", f"{TARGETS}/dgx", params={"force": "true"})
        assert gone.status_code == 204
        assert statuses(one, batch) == ["CANCELED"] * 3
        assert one.start(lease).status_code == 401
        assert one.api.get(TARGETS) == []
        new = one.again()
        assert new.said["controller_id"] != one.said["controller_id"]


def test_nothing_is_submitted_to_a_target_that_was_removed(core: Core) -> None:
    with controller(core) as one:
        one.api.call("DELETE", f"{TARGETS}/dgx")
        body = {"device_type": one.type, "jobs": [{"payload": {}}]}
        assert one.api.call("POST", "/v1/batches", body).status_code == 422


def test_a_lane_is_a_device_that_says_whose_it_is(core: Core) -> None:
    with controller(core) as one:
        [lane] = one.api.get("/v1/devices")["items"]
        assert (lane["name"], lane["host"]) == (f"{one.type}-0", "dgx")


def test_jobs_of_the_native_door_take_from_a_targets_room(core: Core) -> None:
    with controller(core, cores=2) as one:
        one.submit(2)
        fit = one.api.post(f"{TARGETS}/estimate", {"jobs": waters(1), "compute_target": "dgx"})
        assert (fit["fit"], fit["jobs"][0]["error"]) == (
            0,
            "BYOC controller 'dgx' is at capacity: 2/2 cores",
        )


def test_another_project_neither_sees_a_controller_nor_sends_it_work(core: Core) -> None:
    with controller(core) as one:
        key = new_key(core, project=OTHER_PROJECT)
        assert one.api.call("GET", TARGETS, key=key).json() == []
        for verb in ("pause", "drain", "resume"):
            assert one.api.call("POST", f"{TARGETS}/dgx/{verb}", key=key).status_code == 404
        assert one.api.call("DELETE", f"{TARGETS}/dgx", key=key).status_code == 404
        body = {"device_type": one.type, "jobs": [{"payload": {}}]}
        refused = one.api.call("POST", "/v1/batches", body, key=key)
        assert (refused.status_code, "unknown" in refused.text) == (422, True)
        assert one.api.call("GET", "/v1/devices", key=key).json()["items"] == []
        assert len(one.api.get("/v1/devices")["items"]) == 1


def test_verify_counts_what_ran_without_a_witness_and_holds_it_against_nobody(core: Core) -> None:
    with controller(core) as one:
        one.submit(2)
        for _ in range(2):
            one.complete(one.begin())
    report = verified(core)
    assert (report.clean, report.warned) == (True, 0)
    assert report.counts["unwitnessed"] == 2


def test_what_a_users_own_machine_ran_is_not_certified(core: Core) -> None:
    with controller(core) as one:
        batch = one.submit()
        one.complete(one.begin())
    with pytest.raises(NotCertifiable, match="user's own controller"):
        certify(core, PROJECT, UUID(batch))
