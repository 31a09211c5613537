"""Where entries go: room on a controller, its state, and what managed compute costs."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.config import Settings
from tests.integration.puppet import OTHER_PROJECT
from tests.integration.submit_stack import (
    add_controller,
    count,
    door,
    ids,
    own,
    send,
    statuses,
    submit,
    water,
    waters,
)

ALL = ("batch", "job", "entry", "computation", "event", "submission")


def test_room_for_five_and_eight_sent(settings: Settings) -> None:
    with door(settings) as (api, _):
        add_controller(api.core, slots={"single_point_energy": 5})
        report = submit(api, waters(8, compute_target="dgx"))
        assert statuses(report) == ["submitted"] * 5 + ["failed"] * 3
        assert {each["error"] for each in report["jobs"][5:]} == {
            "BYOC controller 'dgx' is at capacity for single_point_energy: 5/5"
        }


def test_cores_and_memory_bound_a_controller_too(settings: Settings) -> None:
    with door(settings) as (api, _):
        add_controller(api.core, "small", cores=2)
        add_controller(api.core, "tight", memory_mb=600)
        reports = [submit(api, waters(3, compute_target=name)) for name in ("small", "tight")]
        assert reports[0]["jobs"][2]["error"] == (
            "BYOC controller 'small' is at capacity: 2/2 cores"
        )
        assert reports[1]["jobs"][1]["error"] == (
            "BYOC controller 'tight' is at capacity: 512/600 MB memory"
        )


def test_batches_at_the_same_time_never_exceed_the_room(settings: Settings) -> None:
    with door(settings) as (api, _), ThreadPoolExecutor(8) as pool:
        add_controller(api.core, slots={"single_point_energy": 7})
        entries = [waters(4, compute_target="dgx", use_cache=False) for _ in range(8)]
        reports = list(pool.map(lambda each: submit(api, each), entries))
        assert sum(report["submitted"] for report in reports) == 7


def test_hits_and_twins_take_no_room(settings: Settings) -> None:
    with door(settings) as (api, _):
        add_controller(api.core, slots={"single_point_energy": 2})
        report = submit(api, [*waters(2, compute_target="dgx"), *waters(2, compute_target="dgx")])
        assert statuses(report) == ["submitted"] * 4


def test_a_controller_that_is_away_is_warned_of(settings: Settings) -> None:
    with door(settings) as (api, _):
        add_controller(api.core, "off", online=False)
        add_controller(api.core, "slow", state="draining")
        report = submit(api, [{"job": water(), "compute_target": n} for n in ("off", "slow")])
        assert [each["warning"] for each in report["jobs"]] == [
            "controller offline",
            "controller draining",
        ]


def test_local_is_the_callers_own_machine(settings: Settings) -> None:
    with door(settings) as (api, _):
        (verdict,) = submit(api, waters(1, compute_target="local"))["jobs"]
        assert verdict["error"] == "No local controller is online"
        add_controller(api.core, "local-desk-ada")
        report = submit(api, waters(1, compute_target="local"))
        assert own(api, ids(report)[0])["compute_target"] == "local-desk-ada"


def test_another_projects_controller_is_unknown(settings: Settings) -> None:
    with door(settings) as (api, _):
        add_controller(api.core, "theirs", project=OTHER_PROJECT)
        (verdict,) = submit(api, waters(1, compute_target="theirs"))["jobs"]
        assert verdict["error"] == "Unknown compute target 'theirs'"


def test_an_estimate_writes_nothing(settings: Settings) -> None:
    with door(settings) as (api, _):
        with api.core.transaction() as tx:
            tx.connection.exec_driver_sql("UPDATE device_type SET rate = 10 WHERE name = 'managed'")
        before = [count(api.core, table) for table in ALL]
        body = {"jobs": [*waters(2), *waters(2), {}]}
        quote = api.post("/api/v1/jobs/estimate", body)
        assert quote == {
            "required": 2 * 36_000,
            "available": 0,
            "shortfall": 72_000,
            "unit": "micro-credits",
            "billable_jobs": 2,
            "assumed_runtime_s": 3600,
        }
        assert [count(api.core, table) for table in ALL] == before


@pytest.mark.parametrize("what", ["jobs", "compute-targets"])
def test_an_estimate_leaves_no_record_under_a_key_either(settings: Settings, what: str) -> None:
    with door(settings) as (api, _):
        headers = {"Idempotency-Key": "e1"}
        body = {"jobs": waters(1)}
        answer = api.call("POST", f"/api/v1/{what}/estimate", body, headers=headers)
        assert (answer.status_code, count(api.core, "submission")) == (200, 0)


def test_without_credits_nothing_is_left_behind(settings: Settings) -> None:
    with door(settings) as (api, _):
        add_controller(api.core)
        with api.core.transaction() as tx:
            tx.connection.exec_driver_sql("UPDATE device_type SET rate = 10 WHERE name = 'managed'")
        before = [count(api.core, table) for table in ALL]
        answer = send(api, [*waters(2), {"job": water(5), "compute_target": "dgx"}])
        assert answer.status_code == 402
        assert answer.json()["required"] == 72_000
        assert [count(api.core, table) for table in ALL] == before


def test_a_capacity_estimate_counts_what_would_fit(settings: Settings) -> None:
    with door(settings) as (api, _):
        add_controller(api.core, slots={"single_point_energy": 2})
        body = {"jobs": waters(3), "compute_target": "dgx"}
        found = api.post("/api/v1/compute-targets/estimate", body)
        assert (found["controller"], found["fit"]) == ("dgx", 2)
        wrong = api.call("POST", "/api/v1/compute-targets/estimate", {**body, "compute_target": 1})
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "compute_target")
        assert count(api.core, "job") == 0
