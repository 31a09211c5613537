"""A worker's settings: read once, in full, at the edge."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from schemas import logs, trace
from schemas.objects import S3

STORE_SCHEMES = ("file", "s3", "memory")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class BadSettings(Exception):
    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Seconds and bytes. `job_wall_s` and `child_max_rss_mb` are None when unlimited. `metrics`:
    the host and port where Prometheus is answered."""

    broker_url: str
    store_url: str
    s3: S3
    journal_dir: Path
    lease_s: float
    job_wall_s: float | None
    stop_s: float
    kill_grace_s: float
    child_start_s: float
    child_max_rss_mb: float | None
    max_result_bytes: int
    store_retry_s: float
    log_level: str
    log_format: str
    metrics: tuple[str, int] | None
    traces: bool

    @classmethod
    def from_env(cls, env: Mapping[str, str], *, device: str) -> Self:
        """Report every mistake at once, so an operator fixes the file in one go."""
        reader = _Reader(env)
        if not _NAME.fullmatch(device):
            reader.problems.append(f"a device name is letters, digits, . _ -; got {device!r}")
        home = Path(env.get("HOME") or Path.home())
        data_dir = Path(env.get("HOLDFAST_DATA_DIR") or home / ".local/share/holdfast").absolute()
        journal_dir = env.get("HOLDFAST_JOURNAL_DIR") or home / ".local/state/holdfast" / device
        settings = cls(
            broker_url=reader.url("HOLDFAST_BROKER_URL", None, ("redis", "rediss")),
            store_url=reader.url(
                "HOLDFAST_STORE_URL", (data_dir / "store").as_uri(), STORE_SCHEMES
            ),
            s3=S3.from_env(env),
            journal_dir=Path(journal_dir).expanduser().absolute(),
            lease_s=reader.number("HOLDFAST_LEASE_S", 15.0, least=1.0),
            job_wall_s=reader.number("HOLDFAST_JOB_WALL_S", 0.0) or None,
            stop_s=reader.number("HOLDFAST_STOP_S", 10.0),
            kill_grace_s=reader.number("HOLDFAST_KILL_GRACE_S", 0.5),
            child_start_s=reader.number("HOLDFAST_CHILD_START_S", 120.0, least=1.0),
            child_max_rss_mb=reader.number("HOLDFAST_CHILD_MAX_RSS_MB", 0.0) or None,
            max_result_bytes=int(reader.number("HOLDFAST_MAX_RESULT_BYTES", 64 * 2**20, least=1)),
            store_retry_s=reader.number("HOLDFAST_STORE_RETRY_S", 60.0),
            log_level=reader.word("HOLDFAST_LOG_LEVEL", "INFO", logs.LEVELS),
            metrics=reader.address("HOLDFAST_METRICS"),
            log_format=reader.word("HOLDFAST_LOG_FORMAT", "text", logs.FORMATS),
            traces=reader.traces(),
        )
        if reader.problems:
            raise BadSettings(reader.problems)
        return settings


class _Reader:
    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.problems: list[str] = []

    def url(self, key: str, default: str | None, schemes: tuple[str, ...]) -> str:
        text = self._env.get(key) or default
        if text is None:
            self.problems.append(f"{key} is missing")
            return ""
        if urlsplit(text).scheme not in schemes:
            known = " or ".join(f"{scheme}://" for scheme in schemes)
            # The URL may hold a password, so it is not repeated here.
            self.problems.append(f"{key} must start with {known}")
        return text

    def number(self, key: str, default: float, *, least: float = 0.0) -> float:
        text = self._env.get(key) or str(default)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= least):
            self.problems.append(f"{key} must be a number of at least {least:g}, got {text!r}")
            return default
        return number

    def traces(self) -> bool:
        try:
            return trace.wanted(self._env)
        except ValueError as error:
            self.problems.append(str(error))
            return False

    def address(self, key: str) -> tuple[str, int] | None:
        text = self._env.get(key)
        if not text:
            return None
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            self.problems.append(f"{key} must look like 127.0.0.1:9102, got {text!r}")
            return None
        return host.removeprefix("[").removesuffix("]"), int(port)

    def word(self, key: str, default: str, words: tuple[str, ...]) -> str:
        """In any case of letters."""
        text = self._env.get(key) or default
        for word in words:
            if word.upper() == text.upper():
                return word
        self.problems.append(f"{key} must be one of {', '.join(words)}, got {text!r}")
        return text
