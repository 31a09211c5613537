"""The first call: who this controller is, and what it can run."""

import json
import socket
from importlib.metadata import PackageNotFoundError, version

from schemas.controller import Backend, Registered, RegisterIn
from workers.controller.config import Config
from workers.controller.link import Link
from workers.executors import registry


def register(link: Link, config: Config, *, takeover: bool) -> Registered:
    """Raises `Unreachable`, or `Refused`: 409 where another one is online and may stay."""
    body = RegisterIn(
        name=config.name,
        version=own_version(),
        hostname=socket.gethostname()[:200] or "unknown",
        cores=config.cores,
        memory_mb=config.memory_mb,
        lanes=config.width,
        slots=config.slots,
        backends=[_backend(config.executor)],
    )
    params = {"takeover": json.dumps(takeover)}
    content = body.model_dump_json().encode()
    said = link.send("POST", "/controllers/register", content, params=params)
    return Registered.model_validate(said)


def own_version() -> str:
    try:
        return version("holdfast-server")
    except PackageNotFoundError:
        return "0.1"


def _backend(executor: str) -> Backend:
    brought_by = registry.versions(executor)
    job_types = getattr(registry.load(executor), "job_types", ())
    return Backend(
        name=executor,
        version=next(iter(brought_by.values()), "0"),
        job_types=list(job_types),
    )
