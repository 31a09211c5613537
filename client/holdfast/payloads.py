"""What is given to `submit_batch`, as the server wants it, and its answers put together."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from holdfast.reading import dump, from_numpy

LOCAL: Final = "local"
AROUND: Final = 100
"""Bytes of a body that are no entry."""


def encoded(
    payloads: Iterable[Any], target: str | None, use_cache: bool, here: Callable[[], str]
) -> list[bytes]:
    """Each as one entry of the body; `here` names the target "local". TypeError names the payload
    that has no JSON form."""
    entries = []
    for index, payload in enumerate(payloads):
        entry = _entry(payload, target, use_cache)
        if entry["compute_target"] == LOCAL:
            entry["compute_target"] = here()
        try:
            entries.append(_encoded(entry))
        except TypeError as error:
            raise TypeError(f"payloads[{index}]: {error}") from None
    return entries


def in_chunks(entries: Sequence[bytes], limits: Mapping[str, Any]) -> Iterator[list[bytes]]:
    """As many at a time as the server takes, in jobs and in bytes."""
    most, room = limits["max_batch_size"], limits["max_body_bytes"] - AROUND
    chunk: list[bytes] = []
    size = 0
    for entry in entries:
        if chunk and (len(chunk) == most or size + len(entry) + 1 > room):
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += len(entry) + 1
    if chunk:
        yield chunk


def report_of(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several answers as if they were one."""
    counts = ("total", "submitted", "failed", "cache_hits")
    return {
        **{name: sum(answer[name] for answer in answers) for name in counts},
        "jobs": [job for answer in answers for job in answer["jobs"]],
    }


def _entry(payload: Any, target: str | None, use_cache: bool) -> dict[str, Any]:
    if hasattr(payload, "model_dump"):
        payload = payload.model_dump()
    around = {"compute_target": target, "use_cache": use_cache}
    if not isinstance(payload, Mapping) or "job" not in payload:
        return {"job": payload, **around}
    job = payload["job"]
    plain = job.model_dump() if hasattr(job, "model_dump") else job
    return {**around, **payload, "job": plain}


def _encoded(entry: Any) -> bytes:
    try:
        return dump(entry)
    except ValueError:
        # NaN has no JSON form. As a word it fails alone, and the server says where it is.
        words = json.loads(json.dumps(entry, default=from_numpy), parse_constant=str)
        return dump(words)
