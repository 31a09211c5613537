"""`verify` beside a stack that is at work."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.stack import HOLDFAST, Stack, began, deeds
from tests.waiting import until


def verified(stack: Stack, *words: str) -> dict[str, Any]:
    """What `holdfast verify` says, from a process of its own."""
    done = subprocess.run(
        [HOLDFAST, "verify", "--json", *words],
        env=stack.env,
        capture_output=True,
        timeout=60,
        check=False,
    )
    document: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if document["clean"] else 1), done.stderr
    return document


def test_it_is_clean_while_jobs_run_and_when_they_have(
    stack: Stack, device: str, log: Path
) -> None:
    with stack.client() as client:
        kind = device.replace("dev-", "T")
        batches = [
            client.create_batch(kind, deeds(30, log, seconds=0.03)),
            client.create_batch(kind, deeds(200, log, do="noop")),
            client.create_batch(kind, deeds(60, log, seconds=0.03)),
        ]
        batches[2].cancel_jobs(ids=[batches[2].jobs()[50].id])
        looks = []
        while not batches[2].refresh().is_over:
            looks.append(verified(stack))
        assert looks
        assert [look["violations"] for look in looks] == [[] for _ in looks]
        for batch in batches:
            batch.wait(timeout=60)

    def all_told() -> bool:
        report = verified(stack, "--lag", "0")
        assert report["violations"] == []
        return not report["warnings"] and bool(report["counts"]["runs"] >= 289)

    until(all_told, 30)


def test_it_is_clean_after_a_device_was_drained_at_once_in_the_midst_of_a_job(
    stack: Stack, device: str, log: Path
) -> None:
    """Twice: what was stopped ran again, in its turn, and counts as nothing but itself."""
    with stack.client() as client:
        batch = client.create_batch(
            device.replace("dev-", "T"),
            [*deeds(1, log), *deeds(1, log, seconds=4), *deeds(3, log)],
        )
        for stops in range(2):
            until(lambda n=2 + stops: len(began(log)) == n, 20)  # type: ignore[misc]
            client.drain_device(device, "smoke in the cryostat", "now")
            until(lambda: batch.refresh().status == "PAUSED", 20)
            client.resume_device(device)
        batch.wait(timeout=60)
        jobs = batch.jobs()
    assert [job.status for job in jobs] == ["DONE"] * 5
    order = [jobs[n].id for n in (0, 1, 1, 1, 2, 3, 4)]
    assert [job for job, _ in began(log)] == order

    def all_told() -> bool:
        report = verified(stack, "--lag", "0")
        assert report["violations"] == []
        return not report["warnings"]

    until(all_told, 30)
