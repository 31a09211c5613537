"""The submit-batch door: many small jobs in one call, a verdict for each."""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from holdfast.deadline import Backoff, Deadline
from holdfast.errors import ConnectionFailed, RateLimited, Unavailable
from holdfast.patience import Patience
from holdfast.payloads import encoded, in_chunks, report_of
from holdfast.progress import Bar, Progress
from holdfast.reading import dump, given
from holdfast.state import State
from holdfast.transport import Transport, path

FEW: Final = 8
"""Up to so many jobs are asked for one by one; more are cheaper as a listing."""
PAGE: Final = 200


@dataclass(frozen=True, kw_only=True)
class JobsPage:
    jobs: list[dict[str, Any]]
    has_more: bool
    next_cursor: str | None


def _door(*parts: str | int) -> str:
    return "/api" + path(*parts)


class Compute:
    """`Client.compute`: the server decides on every job alone; the answers are its JSON."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def submit_batch(
        self,
        payloads: Iterable[Any],
        compute_target: str | None = None,
        *,
        use_cache: bool = True,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """All in one call: `{"total", "submitted", "failed", "cache_hits", "jobs": [...]}`, the
        jobs in the order of `payloads`, each with `job_id`, `state`, `status` and `error`.

        A payload is a job such as `SinglePointEnergy`, its `model_dump()`, or that wrapped as
        `{"job": ..., "compute_target": ..., "use_cache": ...}`; what it leaves out is taken from
        this call. `compute_target`: None for managed compute, "local" for this machine, or the
        name of a controller of yours. Past the rate limit the call waits as the server asks, for
        as many times as the client has retries. Raises InsufficientBalance, and then nothing was
        submitted; RateLimited; Invalid when there are more than the server takes at once: see
        `submit_all`.
        """
        entries = self._entries(payloads, compute_target, use_cache)
        return self._send(entries, idempotency_key or str(uuid.uuid4()))

    def submit_all(
        self,
        payloads: Iterable[Any],
        compute_target: str | None = None,
        *,
        use_cache: bool = True,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        progress: Progress = None,
    ) -> dict[str, Any]:
        """As many as you like, in as many calls as the server's limits ask for, and one report.

        Waits out the rate limit, `timeout` seconds in all at most. Called again with the same
        `idempotency_key` and payloads it goes on where it failed, and submits nothing twice.
        """
        entries = self._entries(payloads, compute_target, use_cache)
        key, deadline, answers = idempotency_key or str(uuid.uuid4()), Deadline(timeout), []
        limits, done = self.limits(), 0
        with Bar(progress, "submitted") as bar:
            for number, chunk in enumerate(in_chunks(entries, limits)):
                bar.show(done, len(entries))
                try:
                    answers.append(self._patiently(chunk, f"{key}-{number}", deadline))
                except Exception as error:
                    error.add_note(
                        f"{done} of {len(entries)} payloads had been answered; the same call with"
                        f" idempotency_key={key!r} goes on from there"
                    )
                    raise
                done += len(chunk)
                bar.show(done, len(entries))
        return report_of(answers)

    def status(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.transport.get(_door("jobs", job_id))
        return found

    def result(self, job_id: str) -> dict[str, Any]:
        """Energies in hartree, gradients in hartree/bohr, dipoles in e*bohr. Conflict while the
        job is not done."""
        found: dict[str, Any] = self.transport.get(_door("jobs", job_id, "result"))
        return found

    def cancel(self, job_id: str) -> Any:
        """As well as can be: a job that is over stays as it is."""
        return self.transport.post(_door("jobs", job_id, "cancel"))

    def rename(self, job_id: str, name: str) -> dict[str, Any]:
        body = {"name": name}
        found: dict[str, Any] = self.transport.call("PATCH", _door("jobs", job_id), body=body)
        return found

    def delete(self, job_id: str) -> None:
        """Only of a job that is over."""
        self.transport.call("DELETE", _door("jobs", job_id))

    def list_jobs(self, limit: int = 50, cursor: str | None = None) -> JobsPage:
        """Newest first."""
        page = self.transport.get(_door("jobs"), **given(limit=limit, cursor=cursor))
        return JobsPage(
            jobs=page["jobs"], has_more=page["has_more"], next_cursor=page["next_cursor"]
        )

    def iter_jobs(self, limit: int = 50, max_jobs: int | None = None) -> Iterator[dict[str, Any]]:
        """Newest first, fetched `limit` at a time as they are reached."""
        cursor, left = None, max_jobs
        while left is None or left > 0:
            page = self.list_jobs(limit, cursor)
            yield from page.jobs[:left]
            left = None if left is None else left - len(page.jobs)
            cursor = page.next_cursor
            if not page.has_more:
                return

    def wait(
        self,
        jobs: Mapping[str, Any] | Iterable[str],
        timeout: float | None = None,
        *,
        progress: Progress = None,
    ) -> dict[str, dict[str, Any]]:
        """Until every job is over: the answer of a submission, or ids. Gives what `status` would
        give, by id. WaitTimeout after `timeout` seconds; nothing is canceled by that."""
        ids = _ids(jobs)
        over: dict[str, dict[str, Any]] = {}
        deadline, patience, pauses = Deadline(timeout), Patience(), Backoff(0.05, 2.0)
        with Bar(progress, "done") as bar:
            while True:
                try:
                    over |= self._over([each for each in ids if each not in over])
                    patience.reset()
                except (ConnectionFailed, Unavailable) as error:
                    patience.spend(error)
                bar.show(len(over), len(ids))
                if len(over) == len(ids):
                    return {each: over[each] for each in ids}
                deadline.check(f"{len(ids) - len(over)} of {len(ids)} jobs")
                time.sleep(deadline.cap(pauses.pause()))

    def limits(self) -> dict[str, Any]:
        found: dict[str, Any] = self.transport.get(_door("limits"))
        return found

    def list_compute_targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.transport.get(_door("compute-targets"))
        return found

    def estimate(
        self, payloads: Iterable[Any], compute_target: str | None = None, *, use_cache: bool = True
    ) -> dict[str, Any]:
        """What a submission would hold, in micro-credits, and what there is. Submits nothing."""
        entries = self._entries(payloads, compute_target, use_cache)
        found: dict[str, Any] = self.transport.post(_door("jobs", "estimate"), _body(entries))
        return found

    def estimate_capacity(
        self, *, jobs: Iterable[Any], compute_target: str, use_cache: bool = True
    ) -> dict[str, Any]:
        """How many of these jobs a controller would take now."""
        body = _body(self._entries(jobs, compute_target, use_cache), compute_target=compute_target)
        found: dict[str, Any] = self.transport.post(_door("compute-targets", "estimate"), body)
        return found

    def _entries(self, payloads: Iterable[Any], target: str | None, use_cache: bool) -> list[bytes]:
        return encoded(payloads, target, use_cache, cache(self._started_here))

    def _started_here(self) -> str:
        # Most programs never need what starts a controller.
        from holdfast import local

        return local.ensure(self.transport)

    def _send(self, entries: Sequence[bytes], key: str) -> dict[str, Any]:
        where = _door("jobs", "submit-batch")
        answer: dict[str, Any] = self.transport.post(where, _body(entries), key=key)
        return answer

    def _patiently(self, entries: Sequence[bytes], key: str, deadline: Deadline) -> dict[str, Any]:
        while True:
            try:
                return self._send(entries, key)
            except RateLimited as error:
                deadline.check("the submission")
                time.sleep(deadline.cap(error.retry_after or 1.0))

    def _over(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Those of the jobs that are over."""
        found: dict[str, dict[str, Any]] = {}
        if len(ids) > FEW:
            wanted = set(ids)
            # Newer jobs of other programs may come before ours, within reason.
            for job in self.iter_jobs(PAGE, max_jobs=2 * len(ids) + PAGE):
                if job["job_id"] in wanted:
                    found[job["job_id"]] = job
                if len(found) == len(ids):
                    break
        missing = [each for each in ids if each not in found]
        found |= {each: self.status(each) for each in missing}
        return {each: job for each, job in found.items() if State(job["state"]).is_over}


def _body(entries: Sequence[bytes], **beside: str) -> bytes:
    more = b"".join(b",%b:%b" % (dump(name), dump(value)) for name, value in beside.items())
    return b'{"jobs":[%b]%b}' % (b",".join(entries), more)


def _ids(jobs: Mapping[str, Any] | Iterable[str]) -> list[str]:
    if isinstance(jobs, Mapping):
        return [each["job_id"] for each in jobs["jobs"] if each["job_id"]]
    return list(jobs)
