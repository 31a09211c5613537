"""Projects do not see each other, by whatever route."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.pasqal.conftest import Dev
from tests.pasqal.programs import fixed, unique

Ids = dict[str, Any]
BY_ID = [
    ("GET", "/api/v2/batches/{batch}"),
    ("GET", "/api/v1/batches/{batch}/status"),
    ("GET", "/api/v1/batches/{batch}/full_results"),
    ("POST", "/api/v2/batches/{batch}/jobs"),
    ("PATCH", "/api/v2/batches/{batch}/complete"),
    ("PATCH", "/api/v2/batches/{batch}/cancel"),
    ("PATCH", "/api/v2/batches/{batch}/cancel/jobs"),
    ("PATCH", "/api/v1/batches/{batch}/tags"),
    ("POST", "/api/v1/batches/{batch}/rebatch"),
    ("GET", "/api/v2/jobs/{job}"),
    ("GET", "/api/v1/jobs/{job}/status"),
    ("GET", "/api/v1/jobs/{job}/results_link"),
    ("PATCH", "/api/v2/jobs/{job}/cancel"),
    ("GET", "/api/v2/workloads/{batch}"),
    ("PUT", "/api/v1/workloads/{batch}/cancel"),
]
BODIES: dict[str, Any] = {"jobs": [{"runs": 1}], "tags": ["mine"]}


@pytest.fixture(scope="module")
def other(dev: Dev) -> str:
    """Another project."""
    project = str(uuid4())
    dev.sql("INSERT INTO project (id, name) VALUES (%s, %s) RETURNING 1", project, project)
    return project


@pytest.fixture(scope="module")
def theirs(dev: Dev, other: str) -> Ids:
    """A batch of that project, and its job."""
    body = {
        "sequence_builder": fixed().to_abstract_repr(),
        "jobs": [{"runs": 5}],
        "device_type": "EMU_FREE",
        "project_id": other,
        "tags": unique(),
        "open": True,
    }
    headers = dev.as_user("eve", other)
    # The first sequence waits for the physics check to start.
    made = httpx.post(f"{dev.core}/api/v1/batches", json=body, headers=headers, timeout=30)
    found = made.json()["data"]
    return {"batch": found["id"], "job": found["job_ids"][0]}


@pytest.mark.parametrize(("method", "path"), BY_ID)
def test_anothers_is_not_there(
    dev: Dev, http: httpx.Client, theirs: Ids, method: str, path: str
) -> None:
    # Its own job may begin meanwhile: only what the call could have done must not be there.
    kept = (
        "SELECT open, tags, jobs_total, jobs_canceled, status = 'CANCELED' FROM batch WHERE id = %s"
    )
    before = dev.sql(kept, theirs["batch"])
    body = BODIES.get(path.rpartition("/")[2])
    answer = http.request(method, path.format(**theirs), json=body)
    assert answer.status_code == 404, answer.text
    assert dev.sql(kept, theirs["batch"]) == before


def test_anothers_is_in_no_listing(dev: Dev, http: httpx.Client, other: str, theirs: Ids) -> None:
    for path, wanted in [
        ("/api/v2/jobs", {"project_id": other}),
        ("/api/v2/jobs", {"batch_id": theirs["batch"]}),
        ("/api/v2/jobs", {"id": theirs["job"]}),
        ("/api/v1/batches", {"project_id": other}),
        ("/api/v1/batches", {"id": theirs["batch"]}),
    ]:
        found = http.get(path, params=wanted).json()
        assert (found["data"], found["pagination"]["total"]) == ([], 0)
    assert theirs["batch"] not in http.get("/api/v1/batches").text


def test_nothing_is_made_in_or_taken_from_anothers_project(
    http: httpx.Client, other: str, theirs: Ids
) -> None:
    body = {"jobs": [], "open": True, "project_id": other, "device_type": "EMU_FREE"}
    assert http.post("/api/v1/batches", json=body).status_code == 404
    ids = {"batch_ids": [theirs["batch"]]}
    found = http.patch("/api/v1/batches/cancel", json=ids).json()["data"]
    assert (found["batches"], list(found["errors"])) == ([], [theirs["batch"]])


def test_a_user_of_two_projects_acts_in_both(dev: Dev, other: str, theirs: Ids) -> None:
    headers = dev.as_user("both", dev.project_id, other)
    both = httpx.get(f"{dev.base_url}/account/api/v1/projects", headers=headers).json()["data"]
    assert {each["id"] for each in both} == {dev.project_id, other}
    closed = httpx.patch(f"{dev.core}/api/v2/batches/{theirs['batch']}/complete", headers=headers)
    assert closed.json()["data"]["open"] is False
    listed = httpx.get(f"{dev.core}/api/v2/jobs", params={"id": theirs["job"]}, headers=headers)
    assert listed.json()["pagination"]["total"] == 1
