"""What the stand-in server answers: one method for each route of the native API."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel

from schemas.batch import Batch, BatchCreated, BatchIn, CancelBatchesIn, RebatchIn, TagsIn
from schemas.device import Device, DrainIn, Key, KeyCreated, KeyIn, PauseIn
from schemas.job import CancelIn, CancelJobsIn, Job, JobIn, JobsIn
from schemas.problem import Problem
from schemas.words import BatchStatus, DeviceStatus, DrainWhen
from tests.unit.test_client_standin_model import BATCH_OVER, JOB_OVER, LIMITS, Model, matches, now

Thing = TypeVar("Thing")


class Refusal(Exception):
    def __init__(self, status: int, code: str, detail: str, errors: Any = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.problem = Problem(
            title=code, status=status, code=code, detail=detail, errors=list(errors)
        ).model_dump()


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any

    def one(self, name: str) -> str | None:
        return self.query.get(name, [None])[0]


def _known(things: Mapping[str, Thing], name: str, kind: str) -> Thing:
    if name not in things:
        raise Refusal(404, "not_found", f"no {kind} {name}")
    return things[name]


def plain(answer: Any) -> Any:
    """Models, wherever they are, as the JSON that travels."""
    return json.loads(json.dumps(answer, default=lambda model: model.model_dump(mode="json")))


def _page(seen: Seen, found: Sequence[BaseModel | dict[str, Any]]) -> dict[str, Any]:
    start, limit = int(seen.one("cursor") or 0), int(seen.one("limit") or 100)
    more = str(start + limit) if len(found) > start + limit else None
    return {"items": found[start : start + limit], "next_cursor": more}


class Api:
    """One method per route; `ROUTES` says which."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def batch(self, batch_id: str) -> Batch:
        return _known(self.model.batches, batch_id, "batch")

    def job(self, job_id: str) -> Job:
        return _known(self.model.jobs, job_id, "job")

    def device(self, name: str) -> Device:
        return _known(self.model.devices, name, "device")

    def create_batch(self, seen: Seen) -> tuple[int, Any]:
        batch = self.model.add_batch(BatchIn.model_validate(seen.body))
        return 201, self.created(batch)

    def created(self, batch: Batch) -> BatchCreated:
        if not batch.open and not batch.jobs_left:
            self.model.end_batch(batch, "DONE")
        return BatchCreated(**batch.model_dump(), jobs=self.model.jobs_of(batch.id))

    def list_batches(self, seen: Seen) -> tuple[int, Any]:
        wanted, device_type = seen.query.get("status"), seen.one("device_type")
        found = [
            batch
            for batch in self.model.batches.values()
            if (not wanted or batch.status in wanted)
            and device_type in (None, batch.device_type)
            and (seen.one("tag") is None or seen.one("tag") in batch.tags)
            and seen.one("open") in (None, str(batch.open).lower())
        ]
        return 200, _page(seen, found[::-1] if seen.one("order") == "desc" else found)

    def get_batch(self, seen: Seen, batch_id: str) -> tuple[int, Any]:
        return 200, self.batch(batch_id)

    def add_jobs(self, seen: Seen, batch_id: str) -> tuple[int, Any]:
        given = JobsIn.model_validate(seen.body)
        return 201, {"jobs": self.model.add_jobs(self.still_open(batch_id), given.jobs)}

    def still_open(self, batch_id: str) -> Batch:
        batch = self.batch(batch_id)
        if not batch.open:
            raise Refusal(409, "batch_closed", f"batch {batch_id} takes no more jobs")
        return batch

    def close(self, seen: Seen, batch_id: str) -> tuple[int, Any]:
        batch = self.batch(batch_id)
        batch.open = False
        if not batch.jobs_left and batch.status not in BATCH_OVER:
            self.model.end_batch(batch, "DONE")
        return 200, batch

    def cancel(self, seen: Seen, batch_id: str) -> tuple[int, Any]:
        CancelIn.model_validate(seen.body)
        if self.batch(batch_id).status not in BATCH_OVER:
            self.model.end_batch(self.batch(batch_id), "CANCELED")
        return 200, self.batch(batch_id)

    def cancel_batches(self, seen: Seen) -> tuple[int, Any]:
        verdicts = []
        for batch_id in CancelBatchesIn.model_validate(seen.body).ids:
            batch = self.model.batches.get(str(batch_id))
            word = "not_found" if batch is None else "ended"
            if batch is not None and batch.status not in BATCH_OVER:
                self.model.end_batch(batch, "CANCELED")
                word = "canceled"
            verdicts.append({"id": str(batch_id), "verdict": word})
        return 200, {"verdicts": verdicts}

    def cancel_jobs(self, seen: Seen, batch_id: str) -> tuple[int, Any]:
        only = CancelJobsIn.model_validate(seen.body).filter
        jobs = [job for job in self.model.jobs_of(batch_id) if matches(job, only)]
        return 200, {"verdicts": [self.verdict(job) for job in jobs]}

    def verdict(self, job: Job) -> dict[str, str]:
        word = "ended" if job.status in JOB_OVER else "canceled"
        if word == "canceled":
            self.model.end_job(job, "CANCELED", reason="canceled by the user")
        return {"id": str(job.id), "verdict": word}

    def rebatch(self, seen: Seen, batch_id: str) -> tuple[int, Any]:
        given, old = RebatchIn.model_validate(seen.body), self.batch(batch_id)
        jobs = [
            JobIn(runs=job.runs, variables=job.variables, payload=job.payload)
            for job in self.model.jobs_of(batch_id)
            if matches(job, given.filter)
        ]
        again = BatchIn(device_type=old.device_type, jobs=jobs, open=given.open, name=given.name)
        return 201, self.created(self.model.add_batch(again, parent=old.id))

    def revive(self, seen: Seen, batch_id: str) -> tuple[int, Any]:
        batch = self.batch(batch_id)
        if batch.status not in ("CANCELED", "ERROR"):
            raise Refusal(409, "illegal_move", f"revived is not possible while {batch.status}")
        batch.status, batch.ended_at = BatchStatus.PENDING, None
        return 200, batch

    def set_tags(self, seen: Seen, batch_id: str) -> tuple[int, Any]:
        self.batch(batch_id).tags = TagsIn.model_validate(seen.body).tags
        return 200, self.batch(batch_id)

    def results(self, seen: Seen, batch_id: str) -> tuple[int, Any]:
        rows = [
            {
                "job_id": str(job.id),
                "ordinal": job.ordinal,
                "status": job.status,
                "result": self.model.results.get(str(job.id)),
                "reason": job.reason,
            }
            for job in self.model.jobs_of(self.batch(batch_id).id)
        ]
        return 200, _page(seen, rows)

    def list_jobs(self, seen: Seen) -> tuple[int, Any]:
        wanted, batch_id = seen.query.get("status"), seen.one("batch_id")
        found = [
            job
            for job in self.model.jobs.values()
            if (not wanted or job.status in wanted) and batch_id in (None, str(job.batch_id))
        ]
        return 200, _page(seen, found)

    def get_job(self, seen: Seen, job_id: str) -> tuple[int, Any]:
        return 200, self.job(job_id)

    def result(self, seen: Seen, job_id: str) -> tuple[int, Any]:
        if self.job(job_id).status != "DONE":
            raise Refusal(409, "result_not_ready", f"job {job_id} is not DONE")
        return 200, self.model.results[job_id]

    def cancel_job(self, seen: Seen, job_id: str) -> tuple[int, Any]:
        CancelIn.model_validate(seen.body)
        return 200, self.verdict(self.job(job_id))

    def retry(self, seen: Seen, job_id: str) -> tuple[int, Any]:
        job = self.job(job_id)
        again = JobIn(runs=job.runs, variables=job.variables, payload=job.payload)
        return 201, {"jobs": self.model.add_jobs(self.still_open(str(job.batch_id)), [again])}

    def list_devices(self, seen: Seen) -> tuple[int, Any]:
        return 200, _page(seen, list(self.model.devices.values()))

    def get_device(self, seen: Seen, name: str) -> tuple[int, Any]:
        return 200, self.device(name)

    def pause(self, seen: Seen, name: str) -> tuple[int, Any]:
        return self.turn(name, DeviceStatus.PAUSED, PauseIn.model_validate(seen.body).reason)

    def drain(self, seen: Seen, name: str) -> tuple[int, Any]:
        asked = DrainIn.model_validate(seen.body)
        last = asked.when is DrainWhen.AFTER_BATCH
        status = DeviceStatus.DRAINING if last else DeviceStatus.PAUSED
        return self.turn(name, status, asked.reason)

    def resume(self, seen: Seen, name: str) -> tuple[int, Any]:
        return self.turn(name, DeviceStatus.ONLINE, None)

    def turn(self, name: str, status: DeviceStatus, reason: str | None) -> tuple[int, Any]:
        device = self.device(name)
        device.status, device.reason = status, reason
        return 200, device

    def list_events(self, seen: Seen) -> tuple[int, Any]:
        found = [event.model_dump(mode="json") for event in self.after(seen, seen.one("after"))]
        limit = int(seen.one("limit") or 100)
        more = found[limit - 1]["id"] if len(found) > limit else None
        return 200, {"items": found[:limit], "next_cursor": more}

    def after(self, seen: Seen, cursor: str | None) -> list[Any]:
        batch_id = seen.one("batch_id")
        return [
            event
            for event in self.model.events
            if event.id > (cursor or "") and batch_id in (None, str(event.batch_id))
        ]

    def limits(self, seen: Seen) -> tuple[int, Any]:
        return 200, LIMITS

    def list_keys(self, seen: Seen) -> tuple[int, Any]:
        return 200, _page(seen, list(self.model.keys.values()))

    def create_key(self, seen: Seen) -> tuple[int, Any]:
        given, secret = KeyIn.model_validate(seen.body), f"av_{uuid.uuid4().hex}"
        key = Key(
            id=uuid.uuid4(), prefix=f"av_••••{secret[-4:]}", created_at=now(), **given.model_dump()
        )
        self.model.keys[str(key.id)] = key
        return 201, KeyCreated(**key.model_dump(), key=secret)

    def revoke_key(self, seen: Seen, key_id: str) -> tuple[int, Any]:
        key = _known(self.model.keys, key_id, "key")
        key.revoked_at = now()
        return 200, key


ROUTES = (
    ("POST", "/v1/batches", Api.create_batch),
    ("GET", "/v1/batches", Api.list_batches),
    ("POST", "/v1/batches/cancel", Api.cancel_batches),
    ("GET", "/v1/batches/*", Api.get_batch),
    ("POST", "/v1/batches/*/jobs", Api.add_jobs),
    ("POST", "/v1/batches/*/close", Api.close),
    ("POST", "/v1/batches/*/cancel", Api.cancel),
    ("POST", "/v1/batches/*/jobs/cancel", Api.cancel_jobs),
    ("POST", "/v1/batches/*/rebatch", Api.rebatch),
    ("POST", "/v1/batches/*/revive", Api.revive),
    ("PUT", "/v1/batches/*/tags", Api.set_tags),
    ("GET", "/v1/batches/*/results", Api.results),
    ("GET", "/v1/jobs", Api.list_jobs),
    ("GET", "/v1/jobs/*", Api.get_job),
    ("GET", "/v1/jobs/*/result", Api.result),
    ("POST", "/v1/jobs/*/cancel", Api.cancel_job),
    ("POST", "/v1/jobs/*/retry", Api.retry),
    ("GET", "/v1/devices", Api.list_devices),
    ("GET", "/v1/devices/*", Api.get_device),
    ("POST", "/v1/devices/*/pause", Api.pause),
    ("POST", "/v1/devices/*/drain", Api.drain),
    ("POST", "/v1/devices/*/resume", Api.resume),
    ("GET", "/v1/events", Api.list_events),
    ("GET", "/v1/limits", Api.limits),
    ("GET", "/v1/keys", Api.list_keys),
    ("POST", "/v1/keys", Api.create_key),
    ("POST", "/v1/keys/*/revoke", Api.revoke_key),
)


def test_the_stand_in_refuses_a_job_for_a_closed_batch() -> None:
    api = Api(Model())
    _, batch = api.create_batch(Seen("POST", "", {}, {}, {"device_type": "A", "jobs": [{}]}))
    with pytest.raises(Refusal) as refusal:
        api.add_jobs(Seen("POST", "", {}, {}, {"jobs": [{}]}), str(batch.id))
    assert refusal.value.status == 409
