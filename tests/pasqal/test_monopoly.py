"""A device belongs to one batch at a time, as the user of the client sees it."""

from datetime import datetime
from typing import Any

import httpx

from tests.pasqal.conftest import Cloud, Dev
from tests.pasqal.programs import fixed, for_qpu, unique
from tests.waiting import until

JOBS = [{"runs": 20}] * 5


def spans(batch: Any) -> list[tuple[datetime, datetime]]:
    return [
        (
            datetime.fromisoformat(job.start_timestamp or ""),
            datetime.fromisoformat(job.end_timestamp or ""),
        )
        for job in batch.ordered_jobs
    ]


def submitted(cloud: Cloud, **options: Any) -> Any:
    sequence = fixed().to_abstract_repr()
    return cloud.create_batch(sequence, JOBS, device_type="EMU_FREE", tags=unique(), **options)


def test_two_batches_never_overlap_and_the_second_begins_after_close(
    cloud: Cloud, dev: Dev
) -> None:
    held = submitted(cloud, open=True)
    waiting = submitted(cloud)
    held.add_jobs(JOBS, wait=True)
    waiting.refresh()
    assert (waiting.status, waiting.start_datetime) == ("PENDING", None)
    held.close()
    dev.until_over(waiting.id, 90)
    first, second = spans(cloud.get_batch(held.id)), spans(cloud.get_batch(waiting.id))
    moments = [moment for span in first + second for moment in span]
    assert moments == sorted(moments)
    closed = datetime.fromisoformat(cloud.get_batch(held.id).end_datetime or "")
    began = datetime.fromisoformat(cloud.get_batch(waiting.id).start_datetime or "")
    assert first[-1][1] <= closed <= began <= second[0][0]


def test_batches_of_two_types_run_side_by_side(cloud: Cloud, dev: Dev) -> None:
    held = submitted(cloud, open=True)
    free = cloud.get_device_specs_dict()
    assert {"EMU_FREE", "FRESNEL"} <= free.keys()
    other = cloud.create_batch(for_qpu().to_abstract_repr(), [{"runs": 20}], tags=unique())
    assert other.device_type == "FRESNEL"
    dev.until_over(other.id, 90)
    held.close()


def test_batches_run_in_the_order_of_their_submission(cloud: Cloud, dev: Dev) -> None:
    batches = [submitted(cloud) for _ in range(4)]
    for batch in batches:
        dev.until_over(batch.id, 90)
    starts = [spans(cloud.get_batch(batch.id))[0][0] for batch in batches]
    assert starts == sorted(starts)


def test_a_paused_device_is_never_spoken_of(cloud: Cloud, dev: Dev) -> None:
    headers = {"Authorization": f"Bearer {dev.api_key}"}
    held = submitted(cloud, open=True)
    held.add_jobs(JOBS[:1], wait=True)
    paused = httpx.post(
        f"{dev.base_url}/v1/devices/emu-a/pause", headers=headers, json={"reason": "calibration"}
    )
    assert paused.is_success, paused.text
    try:
        until(lambda: dev.sql("SELECT status FROM batch WHERE id = %s", held.id) == [("PAUSED",)])
        assert cloud.get_batch_status(held.id).value == "PENDING"
        assert cloud.get_batch(held.id).status == "PENDING"
    finally:
        resumed = httpx.post(f"{dev.base_url}/v1/devices/emu-a/resume", headers=headers)
        assert resumed.is_success, resumed.text
    held.add_jobs(JOBS[:1], wait=True)
    held.close()
