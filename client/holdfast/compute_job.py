"""One job of the submit-batch door, as a handle that can be written down and found again."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Final, Self

from holdfast import default
from holdfast.compute import Compute
from holdfast.errors import JobFailed, NotConfigured
from holdfast.state import State

SCHEMA: Final = "holdfast.job/1"


class ComputeJob:
    """What the server last said is read like a dict: `job["state"]`, `job["error"]`.

    A snapshot holds `schema`, `base_url`, `job_id`, `payload`, `submitted_at`, `last_state`, and
    `result` once there is one; never a key.
    """

    def __init__(self, compute: Compute, saved: Mapping[str, Any], *, payload: Any = None) -> None:
        self._compute = compute
        self.id: str = saved["job_id"]
        self.payload = saved.get("payload", payload)
        self._said: dict[str, Any] = {
            "job_id": self.id,
            "state": saved.get("last_state", saved.get("state")),
            "error": saved.get("error"),
        }
        self._submitted_at = saved.get("submitted_at") or datetime.now(UTC).isoformat()
        self._result: dict[str, Any] | None = saved.get("result")

    @classmethod
    def load(
        cls, saved: Mapping[str, Any] | str | PathLike[str], *, compute: Compute | None = None
    ) -> Self:
        """From a snapshot, the file of one, or a job's entry in the answer of `submit_batch`. Asks
        the server how it stands, unless the snapshot has the end. Never submits.

        NotConfigured for a snapshot of another server than the configured one: a key goes only
        where its owner said.
        """
        compute = compute or default.client().compute
        found = saved if isinstance(saved, Mapping) else _read(Path(saved))
        if not isinstance(found.get("job_id"), str):
            raise ValueError("no snapshot of a job: it has no job_id")
        url, ours = found.get("base_url"), compute.transport.shown_url
        if url is not None and url.rstrip("/") != ours:
            raise NotConfigured(f"a job of {url}, but this is {ours}: configure(base_url={url!r})")
        job = cls(compute, found)
        if not job.is_over or (job.state is State.DONE and job._result is None):
            job.refresh()
        return job

    def __repr__(self) -> str:
        return f"<ComputeJob {self.id} {self['state']}>"

    def __getitem__(self, name: str) -> Any:
        return self._said[name]

    @property
    def state(self) -> State:
        return State(self["state"])

    @property
    def is_over(self) -> bool:
        return self["state"] is not None and self.state.is_over

    def refresh(self) -> Self:
        """Ask the server, and update this handle in place."""
        self._said = self._compute.status(self.id)
        self._submitted_at = self._said.get("created_at") or self._submitted_at
        return self

    def wait(self, timeout: float | None = None) -> Self:
        """Until it is over, however it ends; WaitTimeout after `timeout` seconds."""
        if not self.is_over:
            self._said = self._compute.wait([self.id], timeout, progress=False)[self.id]
        return self

    def require_result(self, timeout: float | None = None) -> dict[str, Any]:
        """Waits until it is over. JobFailed if it gave nothing, with `reason`."""
        self.wait(timeout)
        if self.state is not State.DONE:
            raise JobFailed(self.id, self["state"], self["error"])
        if self._result is None:
            self._result = self._compute.result(self.id)
        return self._result

    def cancel(self) -> Self:
        """As well as can be: a job that is over stays as it is."""
        self._compute.cancel(self.id)
        return self.refresh()

    def snapshot(self) -> dict[str, Any]:
        """All that `load` needs, as JSON."""
        result = {} if self._result is None else {"result": self._result}
        return {
            "schema": SCHEMA,
            "base_url": self._compute.transport.shown_url,
            "job_id": self.id,
            "payload": self.payload,
            "submitted_at": self._submitted_at,
            "last_state": self["state"],
            "error": self._said.get("error"),
            **result,
        }

    def save(self, path: str | PathLike[str]) -> None:
        """The snapshot as a file, whole or not at all."""
        target = Path(path)
        fresh = target.with_name(f".{target.name}.{time.time_ns()}")
        fresh.write_text(json.dumps(self.snapshot(), indent=2))
        fresh.replace(target)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is no snapshot of a job: {error}") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise ValueError(f"{path} is no snapshot of a job: its schema is not {SCHEMA}")
    return found
