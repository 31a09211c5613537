"""What must hold when the faults are over: everything drains, and every promise was kept."""

import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast import Client

from tests.chaos.ledger import Ledger
from tests.chaos.plant import Plant
from workers.executors.scripted import history

_LEFT = """
    SELECT status, count(*) FROM batch
    WHERE status NOT IN ('DONE', 'CANCELED', 'TIMED_OUT', 'ERROR') GROUP BY status
"""
_LEFT_JOBS = "SELECT 'job ' || status, count(*) FROM job WHERE status IN ('PENDING', 'RUNNING')"


def left(plant: Plant) -> dict[str, int]:
    """What is not over yet."""
    return dict(plant.sql(f"{_LEFT} UNION ALL {_LEFT_JOBS} GROUP BY status"))


def wait_until_drained(plant: Plant, deadline: float) -> dict[str, int]:
    """What is left at the deadline of the monotonic clock; nothing, if it is over before."""
    while (remains := left(plant)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return remains


def broken_promises(plant: Plant, ledger: Ledger) -> Iterator[str]:
    yield from ledger.broken
    yield from _missing(plant, ledger)
    yield from _made_twice(plant, ledger)
    yield from _not_canceled(plant, ledger)
    yield from _against_the_devices_record(plant)


def _missing(plant: Plant, ledger: Ledger) -> Iterator[str]:
    batches = dict(plant.sql("SELECT id::text, project_id::text FROM batch"))
    jobs = dict(plant.sql("SELECT id::text, batch_id::text FROM job"))
    sizes = Counter(jobs.values())
    for promise in ledger.batches:
        owner = plant.projects[promise.project].project_id
        if batches.get(promise.batch) != owner:
            yield f"batch {promise.batch} was acknowledged to {promise.project} and is not there"
        elif sizes[promise.batch] < len(promise.body["jobs"]):
            yield f"batch {promise.batch} has lost jobs: {sizes[promise.batch]} are there"
    for job, batch in ledger.jobs.items():
        if jobs.get(job) != batch:
            yield f"job {job} of batch {batch} was acknowledged and is not there"


def _made_twice(plant: Plant, ledger: Ledger) -> Iterator[str]:
    """Every key once more: the same answer, and nothing new."""
    before = plant.sql("SELECT (SELECT count(*) FROM batch), (SELECT count(*) FROM job)")
    for project, credentials in plant.projects.items():
        with Client(plant.urls[0], credentials.api_key, timeout=15) as client:
            for promise in ledger.batches:
                if promise.project == project:
                    again = client.submit(promise.body, idempotency_key=promise.key)
                    if again.id != promise.batch:
                        yield f"{promise.key} gave {promise.batch}, and now gives {again.id}"
    after = plant.sql("SELECT (SELECT count(*) FROM batch), (SELECT count(*) FROM job)")
    if after != before:
        yield f"asking again with the same keys made something new: {before} became {after}"


def _not_canceled(plant: Plant, ledger: Ledger) -> Iterator[str]:
    statuses = dict(plant.sql("SELECT id::text, status FROM batch"))
    for batch in ledger.canceled_batches:
        if statuses.get(batch) != "CANCELED":
            yield f"batch {batch} was canceled, and is {statuses.get(batch)}"
    job_statuses = dict(plant.sql("SELECT id::text, status FROM job"))
    began = {str(line["job"]): line["at"] for line in _record(plant) if line["what"] == "began"}
    for job, said in ledger.canceled_jobs.items():
        if job_statuses.get(job) != "CANCELED":
            yield f"job {job} was canceled for certain, and is {job_statuses.get(job)}"
        if began.get(job, 0.0) > said:
            yield f"job {job} began {began[job] - said:.3f} s after its cancel was acknowledged"


def _record(plant: Plant) -> list[Any]:
    return list(history(plant.log)) if plant.log.exists() else []


def _against_the_devices_record(plant: Plant) -> Iterator[str]:
    """Evidence that no part of Holdfast has written: lines of the executors themselves."""
    device_of = dict(_begun_on(plant.folder / "journals"))
    spans: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    for line in _record(plant):
        run = (str(line["job"]), int(line["run"]))
        if line["what"] in spans[run]:
            yield f"job {run[0]} run {run[1]} {line['what']} twice"
        spans[run].setdefault(line["what"], line["at"])
    by_device: dict[str, list[tuple[float, float, tuple[str, int]]]] = defaultdict(list)
    for run, span in spans.items():
        if run not in device_of:
            yield f"job {run[0]} run {run[1]} began, and no journal knows it"
        elif "began" in span:
            # Without an end it was killed, nobody has seen when.
            end = span.get("ended", span["began"])
            by_device[device_of[run]].append((span["began"], end, run))
    for device, found in by_device.items():
        yield from _overlaps(device, sorted(found))


def _overlaps(device: str, spans: list[tuple[float, float, tuple[str, int]]]) -> Iterator[str]:
    latest, last = 0.0, ("", 0)
    for began, ended, run in spans:
        if began < latest:
            yield (
                f"{device} ran two jobs at once: {run[0]} run {run[1]} began at {began:.3f},"
                f" {last[0]} run {last[1]} ended at {latest:.3f}"
            )
        if ended > latest:
            latest, last = ended, run


def _begun_on(journals: Path) -> Iterator[tuple[tuple[str, int], str]]:
    """Each run with the device that a journal says it began on."""
    for path in journals.glob("*/journal.db"):
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            (device,) = db.execute("SELECT value FROM meta WHERE key = 'device'").fetchone()
            for job, run in db.execute("SELECT job, run FROM runs"):
                yield (job, run), device
        finally:
            db.close()
