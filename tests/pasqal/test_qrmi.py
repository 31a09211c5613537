"""What QRMI asks for besides: plain JSON, and devices without a token."""

import httpx

from tests.pasqal.conftest import Dev
from tests.pasqal.programs import fixed, unique


def test_devices_are_told_without_a_token(dev: Dev) -> None:
    found = httpx.get(f"{dev.core}/api/v1/devices", params={"device_type": "FRESNEL"}).json()
    assert found["data"] == [
        {"device_type": "FRESNEL", "status": "ACTIVE", "availability": "ACTIVE"}
    ]


def test_one_spec_is_told_without_a_token(dev: Dev) -> None:
    found = httpx.get(f"{dev.core}/api/v1/devices/specs/FRESNEL").json()["data"]
    listed = httpx.get(f"{dev.core}/api/v1/devices/public-specs").json()["data"]
    assert found in listed
    assert httpx.get(f"{dev.core}/api/v1/devices/specs/NONE").status_code == 404


def test_all_counts_of_a_batch_come_at_once(dev: Dev, http: httpx.Client) -> None:
    body = {
        "sequence_builder": fixed().to_abstract_repr(),
        "jobs": [{"runs": 5}, {"runs": 6}],
        "device_type": "EMU_FREE",
        "project_id": dev.project_id,
        "tags": unique(),
    }
    made = http.post("/api/v1/batches", json=body).json()["data"]
    dev.until_over(made["id"], 90)
    found = http.get(f"/api/v1/batches/{made['id']}/full_results").json()["data"]
    assert list(found) == made["job_ids"]
    assert [sum(each["counter"].values()) for each in found.values()] == [5, 6]
