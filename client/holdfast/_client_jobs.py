"""Single jobs of the submit-batch door, by id, on the server that `configure` named."""

from typing import Any

from holdfast import default


def status(job_id: str) -> dict[str, Any]:
    return default.client().compute.status(job_id)


def result(job_id: str) -> dict[str, Any]:
    return default.client().compute.result(job_id)


def cancel(job_id: str) -> Any:
    return default.client().compute.cancel(job_id)


def rename(job_id: str, name: str) -> dict[str, Any]:
    return default.client().compute.rename(job_id, name)


def delete(job_id: str) -> None:
    default.client().compute.delete(job_id)
