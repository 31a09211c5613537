"""POST /api/v1/jobs/submit-batch: a verdict for each entry, and the order of the checks."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator.config import Settings
from tests.integration.api_stack import new_key
from tests.integration.puppet import OTHER_PROJECT, failed
from tests.integration.remote_stack import runner_key
from tests.integration.submit_stack import (
    BATCH,
    count,
    door,
    ids,
    own,
    send,
    states,
    statuses,
    submit,
    water,
    waters,
)


def raw(api: Any, body: bytes, **headers: str) -> Any:
    sent = {"Authorization": f"Bearer {api.key}", "Content-Type": "application/json", **headers}
    return api.http.post(BATCH, content=body, headers=sent)


def test_every_entry_gets_a_verdict_in_request_order(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        report = submit(api, [*waters(2), {"job": {"job_type": "magic"}}])
        assert {name: report[name] for name in report if name != "jobs"} == {
            "total": 3,
            "submitted": 2,
            "failed": 1,
            "cache_hits": 0,
        }
        good, _, bad = report["jobs"]
        assert good == {
            "job_id": good["job_id"],
            "state": "pending",
            "status": "submitted",
            "error": None,
        }
        assert (bad["job_id"], bad["state"], bad["status"]) == (None, None, "failed")
        assert bad["error"].startswith("Invalid job payload: job.job_type: must be one of single")
        puppet.serve_all()
        assert states(api, {"jobs": report["jobs"][:2]}) == ["done", "done"]


def test_what_the_executor_sees_is_the_chemistry_job(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        submit(api, [{"job": water(name="mine")}])
        payload = puppet.take().jobs[0].payload
        assert payload["job_type"] == "single_point_energy"
        assert payload["atoms"]["charge"] == 0 and payload["atoms"]["symbols"] == ["O", "H", "H"]


BROKEN = {
    "not an object": "7",
    "no job": "{}",
    "NaN": json.dumps({"job": water(float("nan"))}),
    "infinity": json.dumps({"job": water()}).replace("0.1173", "1e999"),
    "a number without end": json.dumps({"job": water()}).replace("0.1173", "9" * 5000),
    "deep": '{"job": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "a field twice": '{"job": {"job_type": "single_point_energy", "job_type": "optimization"}}',
    "half a character": '{"job": {"job_type": "\\ud800"}}',
    "a NUL in its name": json.dumps({"job": water(name="a\0b")}),
    "a million atoms": json.dumps(
        {"job": water(atoms={"symbols": ["H"] * 10**6, "positions": [[0, 0, 0]] * 10**6})}
    ),
    "electrons that do not pair": json.dumps(
        {"job": water(atoms={**water()["atoms"], "charge": 1})}
    ),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_entry_fails_alone(settings: Settings, broken: str) -> None:
    with door(settings, max_body_bytes=2**26) as (api, _):
        good = json.dumps({"job": water()})
        answer = raw(api, f'{{"jobs": [{good}, {broken}, {good}]}}'.encode())
        assert answer.status_code == 200, answer.text
        assert statuses(answer.json()) == ["submitted", "failed", "submitted"]
        error = answer.json()["jobs"][1]["error"]
        assert error.startswith("Invalid job payload: ") and len(error) < 1000


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b"[]", 422, "rejected"),
        (b"{}", 422, "rejected"),
        (b'{"jobs": {}}', 422, "rejected"),
        (b'{"jobs": [], "job": 1}', 422, "rejected"),
        (b'{"jobs": []}', 422, "batch_too_large"),
        (b'{"jobs": [1, 2, 3, 4]}', 422, "batch_too_large"),
        (b'{"jobs": [' + b" " * 5000 + b"]}", 413, "too_large"),
    ],
)
def test_a_body_of_another_shape_is_refused_whole(
    settings: Settings, body: bytes, status: int, code: str
) -> None:
    with door(settings, max_batch_size=3, max_body_bytes=4000) as (api, _):
        answer = raw(api, body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        if code == "batch_too_large":
            assert "max_batch_size is 3" in answer.json()["detail"]


def test_all_entries_failed_is_still_an_answer(settings: Settings) -> None:
    with door(settings) as (api, _):
        before = count(api.core, "batch")
        report = submit(api, [{"job": water(), "compute_target": "moon"}, {}])
        assert report["failed"] == 2
        assert report["jobs"][0]["error"] == "Unknown compute target 'moon'"
        assert count(api.core, "batch") == before


def test_managed_compute_that_is_off_fails_the_entry(settings: Settings) -> None:
    with door(settings, managed=False) as (api, _):
        (verdict,) = submit(api, waters(1))["jobs"]
        assert verdict["error"] == "Managed compute is disabled"
    with door(settings, managed_type="nothing-has-it") as (api, _):
        assert statuses(submit(api, waters(1))) == ["failed"]


def test_two_batches_a_minute_and_then_a_wait(settings: Settings) -> None:
    with door(settings, batches_per_minute=2) as (api, _):
        first, second, third = (send(api, waters(1)) for _ in range(3))
        assert (first.status_code, second.status_code) == (200, 200)
        assert first.headers["RateLimit-Remaining"] == "1"
        assert third.status_code == 429 and third.json()["code"] == "rate_limited"
        assert 1 <= int(third.headers["Retry-After"]) <= 60
        assert third.headers["RateLimit-Limit"] == "2"
        one = api.call("POST", "/api/v1/jobs", {"job": water(1)})
        assert one.status_code == 200 and one.json()["status"] == "submitted"


def test_the_limit_holds_when_many_come_at_once(settings: Settings) -> None:
    with door(settings, batches_per_minute=2) as (api, _), ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: send(api, waters(1)).status_code, range(12)))
        assert sorted(answers) == [200] * 2 + [429] * 10


def test_a_replay_costs_no_part_of_the_limit(settings: Settings) -> None:
    with door(settings, batches_per_minute=1) as (api, _):
        key = {"Idempotency-Key": '"again"'}
        first = send(api, waters(2), headers=key)
        again = send(api, waters(2), headers={"Idempotency-Key": "again"})
        assert again.status_code == 200 and again.headers["Idempotency-Replayed"] == "true"
        assert again.json() == first.json()
        other = send(api, waters(3), headers=key)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        assert send(api, waters(1)).status_code == 429


def test_each_check_is_made_before_the_next(settings: Settings) -> None:
    """Every call is wrong in all the ways of those that come after it."""
    with door(settings, batches_per_minute=1, max_body_bytes=4000) as (api, _):
        assert send(api, waters(1), headers={"Idempotency-Key": "k"}).status_code == 200
        large, none = b'{"jobs": [' + b" " * 4000 + b"]}", b'{"jobs": []}'
        bearers = {"": 401, f"Bearer {runner_key(api.core)}": 403, f"Bearer {api.key}": 413}
        for bearer, status in bearers.items():
            headers = {"Idempotency-Key": "k", "Authorization": bearer}
            assert raw(api, large, **headers).status_code == status
        reused, limited = (raw(api, none, **{"Idempotency-Key": key}) for key in ("k", "new"))
        assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
        assert limited.status_code == 429


def test_a_refused_call_leaves_its_key_free(settings: Settings) -> None:
    with door(settings) as (api, _):
        key = {"Idempotency-Key": "k"}
        assert send(api, [], headers=key).status_code == 422
        assert send(api, waters(1), headers=key).status_code == 200


def test_a_key_is_good_for_a_day(settings: Settings) -> None:
    with door(settings) as (api, _):
        key = {"Idempotency-Key": "k"}
        first = submit(api, waters(1), headers=key)
        with api.core.transaction() as tx:
            tx.connection.exec_driver_sql(
                "UPDATE submission SET created_at = created_at - interval '25 hours'"
            )
        assert ids(submit(api, waters(1), headers=key)) != ids(first)


def test_of_ten_calls_with_one_key_one_works(settings: Settings) -> None:
    with door(settings) as (api, _), ThreadPoolExecutor(10) as pool:
        gate = threading.Barrier(10)

        def go(_: int) -> Any:
            gate.wait()
            return send(api, waters(50), headers={"Idempotency-Key": "k"})

        answers = list(pool.map(go, range(10)))
        assert {each.status_code for each in answers} <= {200, 409}
        fresh = [
            each
            for each in answers
            if each.status_code == 200 and "Idempotency-Replayed" not in each.headers
        ]
        assert len(fresh) == 1
        assert {each.json()["code"] for each in answers if each.status_code == 409} <= {
            "idempotency_key_in_use"
        }
        assert count(api.core, "job") == 50


def test_a_single_job_that_is_refused_says_why(settings: Settings) -> None:
    with door(settings) as (api, _):
        answer = api.call("POST", "/api/v1/jobs", {"job": water(level_of_theory="HF")})
        assert (answer.status_code, answer.json()["code"]) == (422, "job_refused")
        assert "job.level_of_theory" in answer.json()["detail"]


def test_the_limits_are_told(settings: Settings) -> None:
    with door(settings, batches_per_minute=2) as (api, _):
        assert api.get("/api/v1/limits") == {
            "max_batch_size": 1000,
            "max_body_bytes": settings.max_body_bytes,
            "batches_per_minute": 2,
            "max_atoms": 1000,
            "idempotency_key_ttl_s": 86_400,
            "managed_compute": True,
        }


def test_another_projects_job_is_not_there(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        job = ids(submit(api, waters(1)))[0]
        puppet.serve_all()
        other = new_key(api.core, project=OTHER_PROJECT)
        for method, path in (
            ("GET", ""),
            ("GET", "/result"),
            ("POST", "/cancel"),
            ("DELETE", ""),
        ):
            assert api.call(method, f"/api/v1/jobs/{job}{path}", key=other).status_code == 404
        assert api.call("GET", "/api/v1/jobs", key=other).json()["jobs"] == []


def test_a_failed_job_says_why(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        job = ids(submit(api, waters(1)))[0]
        window = puppet.take()
        puppet.begin(window, window.jobs[0])
        assert own(api, job)["state"] == "running"
        puppet.answer(window, failed(window.jobs[0], "did not converge"))
        assert own(api, job)["error"] == "did not converge"
        answer = api.call("GET", f"/api/v1/jobs/{job}/result")
        assert (answer.status_code, answer.json()["state"]) == (409, "failed")
