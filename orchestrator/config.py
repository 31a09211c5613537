"""Read once, in full, at the edge. Nothing else touches os.environ."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, Self

from schemas import logs, trace
from schemas.objects import S3

PREFIX: Final = "HOLDFAST_"
LEAST_LEASE_S: Final = 6
"""A heartbeat lives for 4 s; less than this and a hiccup would pass for a death."""
METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
NEVER_S: Final = 10.0 * 366 * 86_400


class BadSettings(Exception):
    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Seconds and bytes. `max_duration_s` of 0 means no bound. `public_url` is where users reach
    the API, without a slash at its end; `webhook_allow` are networks that webhooks may reach
    although they are private. `overdraft`: a job that outruns its project's credits
    runs on. `job_wall_s`: how long a job may run on a user's controller.
    `traces`: whether an exporter for them is configured, by OpenTelemetry's own variables.
    `managed`: whether the submit-batch door takes jobs for devices of `managed_type`;
    `batches_per_minute`: how many batches a user may send there. `flower_url`: where operators
    reach Flower. `metrics`: host and port where a part other than the API answers Prometheus;
    `metrics_folder`: where processes behind one port count together, by the library's own
    variable."""

    database_url: str
    broker_url: str
    store_url: str = "file:///var/lib/holdfast/objects"
    idle_timeout_s: float = 300
    max_idle_timeout_s: float = 3600
    max_duration_s: float = 0
    max_batch_size: int = 1000
    max_body_bytes: int = 16 * 1024 * 1024
    max_sequence_bytes: int = 1024 * 1024
    max_runs: int = 100_000
    max_lanes: int = 64
    lease_s: float = 15
    grace_s: float = 0.5
    controller_lease_s: float = 60
    controller_heartbeat_s: float = 20
    job_wall_s: float = 3600
    permit_ttl_s: int = 86_400
    overdraft: bool = False
    pool_size: int = 10
    devices_file: str = ""
    public_url: str = ""
    webhook_allow: tuple[IPv4Network | IPv6Network, ...] = ()
    managed: bool = True
    managed_type: str = "managed"
    batches_per_minute: int = 2
    log_level: str = "INFO"
    log_format: str = "text"
    traces: bool = False
    flower_url: str = ""
    metrics: tuple[str, int] | None = None
    metrics_folder: Path | None = None
    s3: S3 = field(default_factory=S3)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Report every mistake at once, so an operator fixes the file in one go."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        for name, kind in _KINDS.items():
            given = env.get(PREFIX + name.upper())
            if given is None or given == "":
                if name in _REQUIRED:
                    problems.append(f"{PREFIX}{name.upper()} is missing")
                continue
            try:
                values[name] = kind(given)
            except ValueError as error:
                # A URL may hold a password, so it is not repeated here.
                got = "" if name.endswith("_url") else f", got {given!r}"
                problems.append(f"{PREFIX}{name.upper()} {error}{got}")
        try:
            values["traces"] = trace.wanted(env)
        except ValueError as error:
            problems.append(str(error))
        values["metrics_folder"] = _folder(METRICS_FOLDER, env, problems)
        if problems:
            raise BadSettings(problems)
        made = cls(s3=S3.from_env(env), **values)
        if made.controller_heartbeat_s > made.controller_lease_s / 2:
            # One that is lost or late must not cost what runs.
            raise BadSettings(
                [
                    f"{PREFIX}CONTROLLER_HEARTBEAT_S must be at most half of"
                    f" {PREFIX}CONTROLLER_LEASE_S, got {made.controller_heartbeat_s:g} and"
                    f" {made.controller_lease_s:g}"
                ]
            )
        return made


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 < value < 10**9:
        raise ValueError("must be a positive number of seconds")
    return value


def _lease(text: str) -> float:
    value = _seconds(text)
    if value < LEAST_LEASE_S:
        raise ValueError(f"must be at least {LEAST_LEASE_S:g} seconds")
    return value


def _seconds_or_none(text: str) -> float:
    return 0.0 if text == "0" else _seconds(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ValueError("must be a positive whole number")
    return int(text)


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError("must be on or off")
    return text == "on"


def _level(text: str) -> str:
    if text.upper() not in logs.LEVELS:
        raise ValueError(f"must be one of {', '.join(logs.LEVELS)}")
    return text.upper()


def _format(text: str) -> str:
    if text not in logs.FORMATS:
        raise ValueError(f"must be {' or '.join(logs.FORMATS)}")
    return text


def _database(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg") or not rest:
        raise ValueError("must look like postgresql://user:password@host/name")
    return f"postgresql+psycopg://{rest}"


def _broker(text: str) -> str:
    if not text.startswith(("redis://", "rediss://")):
        raise ValueError("must look like redis://:password@host:6379/0")
    return text


def _store(text: str) -> str:
    if not text.startswith(("file:///", "s3://")):
        raise ValueError("must look like file:///folder or s3://bucket/prefix")
    return text


def _public(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme not in ("http", "https") or not rest.strip("/") or any(c in rest for c in "?#@ "):
        raise ValueError("must look like https://holdfast.example.org")
    return text.rstrip("/")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError("must look like 127.0.0.1:9101")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _folder(name: str, env: Mapping[str, str], problems: list[str]) -> Path | None:
    given = env.get(name)
    if given and not Path(given).is_dir():
        problems.append(f"{name} must be a folder that is there, got {given!r}")
    return Path(given) if given else None


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(","))
    except ValueError:
        raise ValueError("must look like 10.0.0.0/8,127.0.0.1/32") from None


_REQUIRED: Final = ("database_url", "broker_url")
_KINDS: Final[dict[str, Callable[[str], Any]]] = {
    "database_url": _database,
    "broker_url": _broker,
    "store_url": _store,
    "idle_timeout_s": _seconds,
    "max_idle_timeout_s": _seconds,
    "max_duration_s": _seconds_or_none,
    "max_batch_size": _count,
    "max_body_bytes": _count,
    "max_sequence_bytes": _count,
    "max_runs": _count,
    "max_lanes": _count,
    "lease_s": _lease,
    "grace_s": _seconds,
    "controller_lease_s": _seconds,
    "controller_heartbeat_s": _seconds,
    "job_wall_s": lambda text: _seconds_or_none(text) or NEVER_S,
    "permit_ttl_s": _count,
    "overdraft": _switch,
    "pool_size": _count,
    "devices_file": str,
    "public_url": _public,
    "flower_url": _public,
    "metrics": _address,
    "webhook_allow": _networks,
    "managed": _switch,
    "managed_type": str,
    "batches_per_minute": _count,
    "log_level": _level,
    "log_format": _format,
}
