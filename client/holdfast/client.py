"""The client: one server, one key."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack

from holdfast.batch import Batch, JobSpec
from holdfast.compute import Compute
from holdfast.deadline import NEVER
from holdfast.errors import NotConfigured
from holdfast.job import Job, jobs_of, wait_for_jobs
from holdfast.members import Members
from holdfast.reading import given, read
from holdfast.records import (
    CancelVerdict,
    Delivery,
    Device,
    Endpoint,
    Event,
    Key,
    Limits,
    NewKey,
    SigningSecret,
)
from holdfast.session import Session
from holdfast.stream import follow as follow_events
from holdfast.transport import Transport, path

Words = str | Sequence[str] | None
"""One word, or several of which any will do."""


class BatchOptions(TypedDict, total=False):
    """What else a batch may ask for; seconds. None, or left out: the server's default."""

    payload: Mapping[str, Any] | None
    name: str | None
    tags: Sequence[str] | None
    priority: int | None
    lanes: int | None
    idle_timeout_s: float | None
    max_duration_s: float | None
    device: str | None
    preemptible: bool | None
    webhook: str | None


class Client:
    """Talks to one Holdfast server. Close it, or use it in a `with`.

    `base_url` and `api_key` come from HOLDFAST_URL and HOLDFAST_API_KEY where omitted.
    `timeout` is in seconds, for each answer. A call that meets a broken connection or a server
    that is away is sent again up to `retries` times, with growing pauses; a POST carries the
    same idempotency key each time, so that nothing is made twice. May be shared by threads.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 5,
    ) -> None:
        url = base_url or os.environ.get("HOLDFAST_URL")
        key = api_key or os.environ.get("HOLDFAST_API_KEY")
        missing = [
            name
            for name, value in (
                ("base_url (or HOLDFAST_URL)", url),
                ("api_key (or HOLDFAST_API_KEY)", key),
            )
            if not value
        ]
        if not url or not key:
            raise NotConfigured(f"{' and '.join(missing)} must be given")
        self._transport = Transport(url, key, timeout=timeout, retries=retries)
        self._session = Session(self._transport)
        self.compute = Compute(self._transport)
        self.members = Members(self._transport)

    def __repr__(self) -> str:
        return f"Client({self._transport.shown_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def create_batch(
        self,
        device_type: str,
        jobs: Sequence[JobSpec] = (),
        *,
        sequence: Any = None,
        open: bool = False,
        wait: bool = False,
        idempotency_key: str | None = None,
        **options: Unpack[BatchOptions],
    ) -> Batch:
        """Submit a batch; all of it is accepted, or none.

        `sequence` is a serialized Pulser sequence or the Sequence itself, shared by all jobs
        as `payload` is. With `wait`, return when it is over, or, if it is `open`, when these
        jobs are. Give an `idempotency_key` of your own to make a whole program safe to rerun.
        """
        body = {
            "device_type": device_type,
            "jobs": [dict(job) for job in jobs],
            "open": open,
            **given(sequence=_serialized(sequence), **options),
        }
        return self.submit(body, wait=wait, idempotency_key=idempotency_key)

    def submit(
        self, body: Mapping[str, Any], *, wait: bool = False, idempotency_key: str | None = None
    ) -> Batch:
        """`create_batch` with the body of the HTTP API, read from a file for example."""
        answer = self._transport.post(path("batches"), body, key=idempotency_key)
        batch = read(Batch, answer, _session=self._session)
        if wait and batch.open:
            wait_for_jobs(self._session, jobs_of(self._session, answer["jobs"]), NEVER)
            batch.refresh()
        elif wait:
            batch.wait()
        return batch

    def attach(self, batch_id: str) -> Batch:
        """A handle on a batch that exists."""
        answer = self._transport.get(path("batches", batch_id))
        return read(Batch, answer, _session=self._session)

    def batches(
        self,
        *,
        status: Words = None,
        device_type: str | None = None,
        tag: str | None = None,
        open: bool | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        order: Literal["asc", "desc"] | None = None,
        page_size: int | None = None,
    ) -> Iterator[Batch]:
        """Every batch that matches, fetched page by page as they are reached."""
        wanted = given(
            status=status,
            device_type=device_type,
            tag=tag,
            open=open,
            created_after=created_after,
            created_before=created_before,
            order=order,
            limit=page_size,
        )
        for each in self._transport.pages(path("batches"), **wanted):
            yield read(Batch, each, _session=self._session)

    def cancel_batches(
        self, batches: Iterable[Batch | str], interrupt: bool = True
    ) -> list[CancelVerdict]:
        """One verdict for each, in order; one that is over or unknown stops no other."""
        ids = [batch if isinstance(batch, str) else batch.id for batch in batches]
        body = {"ids": ids, "interrupt": interrupt}
        report = self._transport.post(path("batches", "cancel"), body)
        return [read(CancelVerdict, verdict) for verdict in report["verdicts"]]

    def job(self, job_id: str) -> Job:
        return read(Job, self._transport.get(path("jobs", job_id)), _session=self._session)

    def jobs(
        self,
        *,
        batch_id: str | None = None,
        status: Words = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        page_size: int | None = None,
    ) -> Iterator[Job]:
        """Every job that matches, fetched page by page; in the order of submission."""
        wanted = given(
            batch_id=batch_id,
            status=status,
            created_after=created_after,
            created_before=created_before,
            limit=page_size,
        )
        for each in self._transport.pages(path("jobs"), **wanted):
            yield read(Job, each, _session=self._session)

    def events(
        self, batch_id: str | None = None, after: str | None = None, follow: bool = False
    ) -> Iterator[Event]:
        """What has happened, oldest first, from behind the event `after`.

        With `follow` it never ends by itself: new events come as they happen, and a dropped
        connection is taken up where it was. Leave the loop when you have seen enough.
        """
        if follow:
            yield from follow_events(self._transport, batch_id, after)
            return
        while True:
            page = self._transport.get(path("events"), **given(batch_id=batch_id, after=after))
            yield from (read(Event, each) for each in page["items"])
            after = page.get("next_cursor")
            if not after:
                return

    def devices(self) -> list[Device]:
        return [read(Device, each) for each in self._transport.pages(path("devices"))]

    def device(self, name: str) -> Device:
        return read(Device, self._transport.get(path("devices", name)))

    def pause_device(self, name: str, reason: str) -> Device:
        """Out of service; the users whose batches wait for it can read the reason."""
        return self._device_verb(name, "pause", {"reason": reason})

    def drain_device(self, name: str, reason: str, when: str = "after_batch") -> Device:
        """Out of service `after_batch`, `after_job` (a pause) or `now` (what runs runs again)."""
        return self._device_verb(name, "drain", {"reason": reason, "when": when})

    def resume_device(self, name: str) -> Device:
        return self._device_verb(name, "resume", None)

    def retire_device(self, name: str, reason: str) -> None:
        """Gone for good. The batch that it has is in ERROR, and can be revived elsewhere."""
        self._transport.call("DELETE", path("devices", name), params={"reason": reason})

    def limits(self) -> Limits:
        return read(Limits, self._transport.get(path("limits")))

    def keys(self) -> list[Key]:
        return [read(Key, each) for each in self._transport.pages(path("keys"))]

    def create_key(
        self,
        name: str,
        scopes: Sequence[str] = (),
        *,
        kind: str = "workspace",
        expires_at: datetime | None = None,
    ) -> NewKey:
        """Scopes: read, submit, operate, admin; a key of the kind `runner` has none, and only
        registers controllers. Keep `.key`: it is not shown again."""
        body = given(name=name, scopes=list(scopes), kind=kind, expires_at=expires_at)
        return read(NewKey, self._transport.post(path("keys"), body))

    def revoke_key(self, key_id: str) -> None:
        self._transport.post(path("keys", key_id, "revoke"), None)

    def delete_key(self, key_id: str) -> None:
        """Of a revoked key nothing is kept; one that is still valid is revoked."""
        self._transport.call("DELETE", path("keys", key_id))

    def deliveries(self, batch_id: str) -> Iterator[Delivery]:
        """What the batch's webhook was told, oldest first, with every attempt."""
        for each in self._transport.pages(path("batches", batch_id, "deliveries")):
            yield read(Delivery, each)

    def endpoints(self) -> list[Endpoint]:
        """Every URL that the project's webhooks go to."""
        return [read(Endpoint, each) for each in self._transport.pages(path("webhooks"))]

    def enable_endpoint(self, url: str) -> Endpoint:
        """Back into service; what waited for it is sent."""
        return read(Endpoint, self._transport.post(path("webhooks", "enable"), {"url": url}))

    def signing_secret(self, *, rotate: bool = False) -> SigningSecret:
        """With `rotate`, a new one; the old one still counts for a day."""
        if rotate:
            return read(
                SigningSecret, self._transport.post(path("webhooks", "secret", "rotate"), None)
            )
        return read(SigningSecret, self._transport.get(path("webhooks", "secret")))

    def certificate_key(self) -> dict[str, str]:
        """What this server signs certificates with: `public_key`, in base64, and its `key_id`."""
        key: dict[str, str] = self._transport.get(path("certificate-key"))
        return key

    def _device_verb(self, name: str, verb: str, body: Any) -> Device:
        return read(Device, self._transport.post(path("devices", name, verb), body))


def _serialized(sequence: Any) -> Any:
    if hasattr(sequence, "to_abstract_repr"):
        return sequence.to_abstract_repr()
    return sequence
