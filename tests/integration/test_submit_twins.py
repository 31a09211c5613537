"""Jobs that ask for the same: one runs, the others get what it got."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from orchestrator.config import Settings
from orchestrator.services.share import share
from orchestrator.services.sweep import sweep
from tests.integration.api_stack import Api, new_key
from tests.integration.puppet import OTHER_PROJECT, Puppet, done, failed
from tests.integration.submit_stack import (
    add_controller,
    count,
    door,
    ids,
    own,
    states,
    statuses,
    submit,
    water,
    waters,
)


def cancel(api: Api, job: str) -> Any:
    return api.post(f"/api/v1/jobs/{job}/cancel")


def result(api: Api, job: str) -> Any:
    return api.get(f"/api/v1/jobs/{job}/result")


def run_all(api: Api, puppet: Puppet) -> int:
    """Everything that is there to run, and what follows from it; how many runs that were."""
    before = len(puppet.ran)
    puppet.serve_all()
    share(puppet.core)
    return len(puppet.ran) - before


def test_what_was_computed_is_not_computed_again(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        first = submit(api, waters(3))
        assert run_all(api, puppet) == 3
        again = submit(api, waters(3))
        assert (again["cache_hits"], statuses(again)) == (3, ["cache_hit"] * 3)
        assert {each["error"] for each in again["jobs"]} == {None}
        assert states(api, again) == ["done"] * 3
        for old, new in zip(ids(first), ids(again), strict=True):
            assert own(api, new)["cached_from"] == old
            assert result(api, new) == result(api, old)
        assert run_all(api, puppet) == 0


def test_usage_counts_as_hits_what_was_there_already(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        submit(api, [*waters(1), *waters(1)])
        run_all(api, puppet)
        submit(api, waters(1))
        used = api.get("/api/v1/usage")
        assert (used["jobs_submitted"], used["cache_hits"]) == (3, 1)


def test_the_same_molecule_written_otherwise_is_the_same(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        submit(api, waters(1))
        run_all(api, puppet)
        near = water(1e-9, name="another name")
        near["atoms"]["positions"][1][0] = -0.0
        charged = water(atoms={**water()["atoms"], "charge": 2})
        entries = [{"job": near}, {"job": charged}, {"job": water(level_of_theory="GFN1-xTB")}]
        assert statuses(submit(api, entries)) == ["cache_hit", "submitted", "submitted"]


def test_a_run_can_be_forced(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        submit(api, waters(1))
        run_all(api, puppet)
        assert statuses(submit(api, waters(1, use_cache=False))) == ["submitted"]
        assert run_all(api, puppet) == 1


def test_another_project_is_told_nothing_of_what_was_computed(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        submit(api, waters(1))
        run_all(api, puppet)
        other = new_key(api.core, project=OTHER_PROJECT)
        assert statuses(submit(api, waters(1), key=other)) == ["submitted"]


def test_after_a_failure_it_is_computed_anew(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        submit(api, waters(1))
        window = puppet.take()
        puppet.begin(window, window.jobs[0])
        puppet.answer(window, failed(window.jobs[0]))
        report = submit(api, waters(1))
        assert statuses(report) == ["submitted"]
        assert run_all(api, puppet) == 1
        assert states(api, report) == ["done"]


def test_twins_in_one_batch_are_one_run(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        report = submit(api, [*waters(2), *waters(2), *waters(1)])
        assert statuses(report) == ["submitted"] * 5
        assert states(api, report) == ["pending"] * 5
        assert run_all(api, puppet) == 2
        assert states(api, report) == ["done"] * 5
        assert own(api, ids(report)[4])["cached_from"] == ids(report)[0]


def test_two_hundred_at_once_are_one_computation(settings: Settings) -> None:
    with door(settings) as (api, puppet), ThreadPoolExecutor(20) as pool:
        reports = list(pool.map(lambda _: submit(api, waters(1)), range(200)))
        assert {status for report in reports for status in statuses(report)} == {"submitted"}
        assert count(api.core, "computation") == 1
        assert count(api.core, "job") == 200
        assert run_all(api, puppet) == 1
        assert count(api.core, "job WHERE status = 'DONE'") == 200
        assert count(api.core, "batch WHERE status <> 'DONE'") == 0


def test_very_many_twins_are_answered_by_and_by(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        for _ in range(2):
            submit(api, [{"job": water()}] * 1000)
        done_ones = []
        for _ in range(3):
            run_all(api, puppet)
            done_ones.append(count(api.core, "job WHERE status = 'DONE'"))
        assert done_ones == [1001, 2000, 2000]


def test_keys_in_any_order_never_lock_each_other_out(settings: Settings) -> None:
    with door(settings) as (api, _), ThreadPoolExecutor(6) as pool:
        gate = threading.Barrier(6)

        def go(seed: int) -> list[str]:
            entries = waters(40)
            random.Random(seed).shuffle(entries)
            gate.wait()
            return statuses(submit(api, entries))

        for _ in range(3):
            assert {each for found in pool.map(go, range(6)) for each in found} == {"submitted"}
        assert count(api.core, "computation") == 40


def test_followers_fail_with_their_leader(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        report = submit(api, [*waters(1), *waters(1)])
        window = puppet.take()
        puppet.begin(window, window.jobs[0])
        puppet.answer(window, failed(window.jobs[0], "did not converge"))
        share(api.core)
        assert [own(api, job)["error"] for job in ids(report)] == ["did not converge"] * 2


def test_a_twin_for_another_target_runs_by_itself(settings: Settings) -> None:
    with door(settings) as (api, _):
        add_controller(api.core)
        job = {"job": water(), "use_cache": True}
        submit(api, [{**job, "compute_target": "dgx"}])
        submit(api, [job])
        assert count(api.core, "entry WHERE follows") == 0


def test_a_follower_that_leaves_stops_nothing(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        report = submit(api, [*waters(1), *waters(1), *waters(1)])
        leader, follower, other = ids(report)
        assert cancel(api, follower)["state"] == "cancelled"
        assert run_all(api, puppet) == 1
        assert [own(api, job)["state"] for job in (leader, follower, other)] == [
            "done",
            "cancelled",
            "done",
        ]


def test_a_leader_that_leaves_runs_on_for_the_others(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        leader, follower = ids(submit(api, [*waters(1), *waters(1)]))
        assert cancel(api, leader)["state"] == "cancelled"
        assert run_all(api, puppet) == 1
        assert own(api, follower)["state"] == "done"
        assert own(api, leader)["state"] == "cancelled"
        answer = api.call("GET", f"/api/v1/jobs/{leader}/result")
        assert (answer.status_code, answer.json()["state"]) == (409, "cancelled")


def test_when_the_last_has_left_nothing_runs(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        leader, follower = ids(submit(api, [*waters(1), *waters(1)]))
        cancel(api, leader)
        cancel(api, follower)
        assert api.get(f"/v1/jobs/{leader}")["status"] == "CANCELED"
        assert run_all(api, puppet) == 0
        assert statuses(submit(api, waters(1))) == ["submitted"]
        assert run_all(api, puppet) == 1


def test_followers_of_a_canceled_batch_still_get_their_result(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        leader, follower = ids(submit(api, [*waters(1), *waters(1)]))
        batch = api.get(f"/v1/jobs/{leader}")["batch_id"]
        api.post(f"/v1/batches/{batch}/cancel", {})
        share(api.core)
        sweep(api.core)
        assert run_all(api, puppet) == 1
        assert own(api, follower)["state"] == "done"
        shown = [each["job_id"] for each in api.get("/api/v1/jobs")["jobs"]]
        assert shown == [follower, leader]


def test_followers_that_were_canceled_natively_let_go_of_a_leader_nobody_wants(
    settings: Settings,
) -> None:
    with door(settings) as (api, puppet):
        leader, follower = ids(submit(api, [*waters(1), *waters(1)]))
        cancel(api, leader)
        batch = api.get(f"/v1/jobs/{follower}")["batch_id"]
        api.post(f"/v1/batches/{batch}/cancel", {})
        share(api.core)
        assert api.get(f"/v1/jobs/{leader}")["status"] == "CANCELED"
        assert run_all(api, puppet) == 0


def test_a_refused_leader_leaves_its_key_to_the_next(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        add_controller(api.core, slots={"single_point_energy": 0})
        assert statuses(submit(api, waters(1, compute_target="dgx"))) == ["failed"]
        assert count(api.core, "computation") == 0
        assert statuses(submit(api, waters(1))) == ["submitted"]
        assert run_all(api, puppet) == 1


def test_a_withdrawn_result_is_given_to_nobody_any_more(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        job = ids(submit(api, waters(1)))[0]
        run_all(api, puppet)
        hit = ids(submit(api, waters(1)))[0]
        api.post(f"/v1/jobs/{hit}/withdraw")
        assert statuses(submit(api, waters(1))) == ["submitted"]
        assert own(api, hit)["state"] == own(api, job)["state"] == "done"


def test_a_result_in_motion_reaches_who_came_meanwhile(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        submit(api, waters(1))
        window = puppet.take()
        puppet.begin(window, window.jobs[0])
        late = ids(submit(api, waters(1)))[0]
        puppet.answer(window, done(window.jobs[0], {"energy": -5.0}))
        share(api.core)
        assert result(api, late) == {"energy": -5.0}
