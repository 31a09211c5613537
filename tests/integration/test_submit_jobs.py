"""Jobs at the submit-batch door: listed, renamed, deleted; and what verify says of twins."""

import pytest

from orchestrator.broker.permits import connect
from orchestrator.broker.rates import Rate, Rates
from orchestrator.config import Settings
from orchestrator.errors import Unavailable
from orchestrator.proof.verify import verify
from orchestrator.services.share import share
from tests.integration.submit_stack import count, door, ids, own, submit, water, waters


def test_jobs_are_listed_newest_first_page_by_page(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        jobs = ids(submit(api, waters(5)))
        puppet.serve_all()
        page = api.get("/api/v1/jobs", limit=2)
        rest = api.get("/api/v1/jobs", limit=200, cursor=page["next_cursor"])
        listed = [each["job_id"] for each in page["jobs"] + rest["jobs"]]
        assert listed == jobs[::-1]
        assert (page["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)


def test_jobs_are_found_by_state_and_target(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        puppet_job = api.batch(device_type="managed")["jobs"][0]["id"]
        puppet.serve_all()
        first, second = ids(submit(api, waters(2)))
        api.post(f"/api/v1/jobs/{second}/cancel")
        found = {
            state: [each["job_id"] for each in api.get("/api/v1/jobs", state=state)["jobs"]]
            for state in ("pending", "done", "cancelled", "failed")
        }
        assert found == {
            "pending": [first],
            "done": [puppet_job],
            "cancelled": [second],
            "failed": [],
        }
        assert len(api.get("/api/v1/jobs", compute_target="managed")["jobs"]) == 3
        assert own(api, puppet_job)["job_type"] == "workload"
        assert own(api, first)["molecule_preview"] == "H2O"


def test_a_job_is_renamed(settings: Settings) -> None:
    with door(settings) as (api, _):
        job = ids(submit(api, [{"job": water(name="old")}]))[0]
        renamed = api.call("PATCH", f"/api/v1/jobs/{job}", {"name": "  new name "})
        assert renamed.json()["name"] == own(api, job)["name"] == "new name"
        for bad in ("", "   ", "x" * 121, "a\tb"):
            answer = api.call("PATCH", f"/api/v1/jobs/{job}", {"name": bad})
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "name")


def test_only_what_is_over_is_deleted(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        native = api.batch(device_type="managed")["jobs"][0]["id"]
        job = ids(submit(api, waters(1)))[0]
        assert api.call("DELETE", f"/api/v1/jobs/{job}").status_code == 409
        puppet.serve_all()
        for each in (job, native):
            assert api.call("DELETE", f"/api/v1/jobs/{each}").status_code == 204
            for path in ("", "/result"):
                assert api.call("GET", f"/api/v1/jobs/{each}{path}").status_code == 404
        assert api.get("/api/v1/jobs")["jobs"] == []


def test_what_is_over_is_not_canceled(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        job = ids(submit(api, waters(1)))[0]
        puppet.serve_all()
        assert api.post(f"/api/v1/jobs/{job}/cancel")["state"] == "done"


def test_a_running_job_is_stopped_by_its_cancel(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        job = ids(submit(api, waters(1)))[0]
        window = puppet.take()
        puppet.begin(window, window.jobs[0])
        assert api.post(f"/api/v1/jobs/{job}/cancel")["state"] == "running"
        assert api.core.permits.client.keys("*interrupt*")


def test_jobs_that_never_run_are_not_for_the_native_door(settings: Settings) -> None:
    with door(settings) as (api, _):
        follower = ids(submit(api, [*waters(1), *waters(1)]))[1]
        batch = api.get(f"/v1/jobs/{follower}")["batch_id"]
        assert "twins" in api.get(f"/v1/batches/{batch}")["reason"]
        again = api.call("POST", f"/v1/batches/{batch}/rebatch", {"filter": {}})
        api.post(f"/v1/batches/{batch}/cancel", {})
        revived = api.call("POST", f"/v1/batches/{batch}/revive", {})
        assert [again.status_code, revived.status_code] == [409, 409]
        assert "submit them again" in revived.json()["detail"]
        body = {"device_type": "shared", "jobs": [{}]}
        assert api.call("POST", "/v1/batches", body).status_code == 422


def test_without_the_broker_nobody_is_let_through() -> None:
    rates = Rates(connect("redis://127.0.0.1:1/0"))
    with pytest.raises(Unavailable):
        rates.take(Rate("submit-batch", 2, 60), "ada")


def test_verify_finds_nothing_wrong_with_twins(settings: Settings) -> None:
    with door(settings) as (api, puppet):
        submit(api, [*waters(3), *waters(3)], headers={"Idempotency-Key": "k"})
        puppet.serve_all()
        share(api.core)
        submit(api, waters(3))
        found = report(settings)
        assert [each for each in found if each.startswith(("copies", "jobs", "calls"))] == []
        with api.core.transaction() as tx:
            tx.connection.exec_driver_sql(
                "UPDATE result SET sha256 = 'x' WHERE job_id = (SELECT job_id FROM entry"
                " WHERE cached_from IS NOT NULL LIMIT 1)"
            )
        assert "copies are of their twins" in report(settings)
        assert count(api.core, "job WHERE run = 0 AND status = 'DONE'") == 6


def report(settings: Settings) -> list[str]:
    """What is violated."""
    found = verify(settings.database_url, settings.store_url, s3=settings.s3)
    return [violation.what for violation in found.violations]
