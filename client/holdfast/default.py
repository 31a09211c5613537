"""The client that `holdfast.submit_batch` and its like use: one for the whole program."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from holdfast.progress import Progress

if TYPE_CHECKING:
    from holdfast.client import Client
    from holdfast.compute import JobsPage

_client: "Client | None" = None


def configure(
    api_key: str | None = None,
    base_url: str | None = None,
    *,
    timeout: float = 30.0,
    retries: int = 5,
) -> "Client":
    """Once, before the first call. What is left out comes from HOLDFAST_API_KEY and HOLDFAST_URL,
    and so does all of it without this call. See `Client` for the rest."""
    from holdfast.client import Client

    global _client
    fresh = Client(base_url, api_key, timeout=timeout, retries=retries)
    if _client is not None:
        _client.close()
    _client = fresh
    return fresh


def client() -> "Client":
    return _client if _client is not None else configure()


def submit_batch(
    payloads: Iterable[Any],
    compute_target: str | None = None,
    *,
    use_cache: bool = True,
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """See `Compute.submit_batch`."""
    return client().compute.submit_batch(
        payloads, compute_target, use_cache=use_cache, idempotency_key=idempotency_key
    )


def submit_all(
    payloads: Iterable[Any],
    compute_target: str | None = None,
    *,
    use_cache: bool = True,
    idempotency_key: str | None = None,
    timeout: float | None = None,
    progress: Progress = None,
) -> dict[str, Any]:
    """See `Compute.submit_all`."""
    return client().compute.submit_all(
        payloads,
        compute_target,
        use_cache=use_cache,
        idempotency_key=idempotency_key,
        timeout=timeout,
        progress=progress,
    )


def wait(
    jobs: Mapping[str, Any] | Iterable[str],
    timeout: float | None = None,
    *,
    progress: Progress = None,
) -> dict[str, dict[str, Any]]:
    """See `Compute.wait`."""
    return client().compute.wait(jobs, timeout, progress=progress)


def list_jobs(limit: int = 50, cursor: str | None = None) -> "JobsPage":
    """See `Compute.list_jobs`."""
    return client().compute.list_jobs(limit, cursor)


def iter_jobs(limit: int = 50, max_jobs: int | None = None) -> Iterator[dict[str, Any]]:
    """See `Compute.iter_jobs`."""
    return client().compute.iter_jobs(limit, max_jobs)


def list_compute_targets() -> list[dict[str, Any]]:
    """See `Compute.list_compute_targets`."""
    return client().compute.list_compute_targets()


def estimate(
    payloads: Iterable[Any], compute_target: str | None = None, *, use_cache: bool = True
) -> dict[str, Any]:
    """See `Compute.estimate`."""
    return client().compute.estimate(payloads, compute_target, use_cache=use_cache)


def estimate_capacity(*, jobs: Iterable[Any], compute_target: str) -> dict[str, Any]:
    """See `Compute.estimate_capacity`."""
    return client().compute.estimate_capacity(jobs=jobs, compute_target=compute_target)
