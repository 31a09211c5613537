"""A controller's day, in the order of the protocol: register, acquire, start, complete."""

import threading

import pytest

from orchestrator.services.core import Core
from orchestrator.services.remote import register as register_service
from tests.integration.api_stack import serving
from tests.integration.puppet import OTHER_PROJECT
from tests.integration.remote_stack import (
    Controller,
    Sql,
    controller,
    look_around,
    register,
    registration,
    runner_key,
    statuses,
)

REGISTER = "/api/v1/controllers/register"


def test_a_job_for_a_controller_is_fetched_started_and_completed(core: Core) -> None:
    with controller(core) as one:
        batch = one.submit(2)
        for _ in range(2):
            [lease] = one.acquire(5)
            one.serve(lease)
        assert statuses(one, batch) == ["DONE", "DONE"]
        assert one.api.get(f"/v1/batches/{batch}")["status"] == "DONE"
        assert one.api.get(f"/v1/jobs/{lease['job_id']}/result") == {"energy": -1.5}


def test_a_lease_holds_what_the_executor_needs(core: Core) -> None:
    with controller(core) as one:
        one.submit(job_type="single_point_energy")
        [lease] = one.acquire(5)
        assert lease["payload"] == {"n": 0, "job_type": "single_point_energy"}
        assert (lease["job_type"], lease["lane"], lease["epoch"]) == ("single_point_energy", 0, 1)
        assert lease["wall_s"] == core.settings.job_wall_s


def test_an_acquire_that_waits_is_woken_by_a_new_batch(core: Core) -> None:
    with controller(core) as one, serving(core) as other:
        found: list[list[dict[str, object]]] = []
        waiting = threading.Thread(target=lambda: found.append(one.acquire(20)))
        waiting.start()
        Controller(other, one.runner, one.name, one.said).submit()
        waiting.join(10)
        assert len(found[0]) == 1


def test_the_same_request_gets_the_same_leases_and_another_one_none(core: Core) -> None:
    with controller(core, lanes=2) as one:
        one.submit(4, lanes=2)
        first = one.acquire(request_id="lost")
        assert {lease["lane"] for lease in first} == {0, 1}
        assert one.acquire() == []
        assert one.acquire(request_id="lost") == first


def test_what_is_not_started_in_time_is_offered_again(core: Core, sql: Sql) -> None:
    with controller(core) as one:
        one.submit()
        [lease] = one.acquire()
        sql.execute("UPDATE \"window\" SET lease_until = lease_until - interval '31 s'")
        assert one.acquire() == [lease]


def test_no_more_is_offered_than_there_is_room_for(core: Core) -> None:
    with controller(core, lanes=3) as one:
        one.submit(9, lanes=3, job_type="opt")
        assert one.acquire(free={"single_point_energy": 5}) == []
        assert len(one.acquire(free={"opt": 2}, free_cores=9)) == 2
        assert one.acquire(free_cores=0) == []


def test_a_start_whose_answer_was_lost_is_said_again(core: Core) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        assert one.start(lease).status_code == 200
        assert one.job_of(lease)["status"] == "RUNNING"


def test_a_completion_said_twice_counts_once(core: Core, sql: Sql) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        assert one.complete(lease).json()["replayed"] is False
        assert one.complete(lease).json()["replayed"] is True
        assert sql.execute("SELECT count(*) FROM result").fetchone() == (1,)


def test_a_large_result_travels_by_the_object_store(core: Core, sql: Sql) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        large = {"gradient": [0.25] * 100_000}
        assert one.complete(lease, result=large).status_code == 200
        assert sql.execute("SELECT value, ref IS NOT NULL FROM result").fetchone() == (None, True)
        assert one.api.get(f"/v1/jobs/{lease['job_id']}/result") == large


def test_a_failure_of_the_job_is_final_and_tells_why(core: Core) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        answer = one.complete(lease, "failed", error={"class": "user", "message": "no charge"})
        assert answer.status_code == 200
        job = one.job_of(lease)
        assert (job["status"], job["reason"]) == ("ERROR", "no charge")


def test_a_failure_of_the_machine_is_tried_again_twice(core: Core) -> None:
    error = {"class": "infrastructure", "message": "the disk is full"}
    with controller(core) as one:
        one.submit()
        for epoch in (1, 2, 3):
            lease = one.begin()
            assert lease["epoch"] == epoch
            assert one.complete(lease, "failed", error=error).status_code == 200
        job = one.job_of(lease)
        assert (job["status"], job["reason"]) == ("ERROR", "the disk is full")


def test_the_jobs_of_a_lane_begin_in_order(core: Core) -> None:
    with controller(core) as one:
        one.submit(3)
        seen = []
        for _ in range(3):
            lease = one.begin()
            assert one.acquire() == []
            seen.append(lease["payload"]["n"])
            one.complete(lease)
        assert seen == [0, 1, 2]


def test_two_servers_hand_one_job_to_one_of_two_who_ask(core: Core) -> None:
    with controller(core) as one, serving(core) as other:
        twin = Controller(other, one.runner, one.name, one.said, requests=100)
        one.submit()
        offered = [*one.acquire(), *twin.acquire()]
        assert len(offered) == 1
        assert twin.start(offered[0]).status_code == 200
        assert one.complete(offered[0]).status_code == 200


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({"name": "managed"}, 422, "means something else"),
        ({"name": "Not OK"}, 422, "name"),
        ({"version": "0.0.9"}, 426, "too old"),
        ({"lanes": 1000}, 422, "lanes"),
        ({"cores": 0}, 422, "cores"),
        ({"backends": []}, 422, "backends"),
    ],
)
def test_a_registration_that_cannot_be_says_why(
    core: Core, fields: dict[str, object], status: int, text: str
) -> None:
    with serving(core) as api:
        body = registration() | fields
        answer = api.call("POST", REGISTER, body, key=runner_key(core))
        assert answer.status_code == status
        assert text in answer.text


def test_a_project_has_so_many_controllers_and_no_more(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register_service, "MOST", 1)
    with controller(core) as one:
        body = registration("another")
        assert one.api.call("POST", REGISTER, body, key=one.runner).status_code == 409
        one.again()


def test_only_a_runner_key_registers_and_it_does_nothing_else(core: Core) -> None:
    with serving(core) as api:
        assert api.call("POST", REGISTER, registration()).status_code == 403
        assert api.call("GET", "/api/v1/compute-targets", key=runner_key(core)).status_code == 403


def test_a_token_reaches_its_own_leases_and_nothing_else(core: Core) -> None:
    with controller(core) as one:
        for path in ("/v1/batches", "/api/v1/compute-targets", "/v1/devices"):
            assert one.call("GET", path).status_code == 401
        acquire = "/api/v1/controllers/self/acquire"
        assert one.api.call("POST", acquire, {"request_id": "r"}).status_code == 403


def test_two_projects_may_have_a_controller_of_one_name(core: Core) -> None:
    with controller(core) as one:
        other = register(one.api, "dgx", runner_key(core, OTHER_PROJECT))
        one.submit()
        assert other.acquire() == []
        [lease] = one.acquire()
        assert other.start(lease).status_code == 404
        assert other.complete(lease).status_code == 404
        assert other.beat(lease) == ["lost"]
        assert other.log(lease, b"x").status_code == 404


def test_the_sweep_leaves_a_controller_in_peace_that_is_heard(core: Core) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        look_around(core)
        assert one.beat(lease) == ["ok"]
        assert one.complete(lease).status_code == 200
