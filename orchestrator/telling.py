"""What a process tells of itself: its log and, where an exporter is configured, its traces."""

from collections.abc import Generator
from contextlib import contextmanager

from orchestrator.config import Settings
from schemas import logs, trace


@contextmanager
def telling(process: str, settings: Settings) -> Generator[None]:
    """For as long as the process serves. What is left of its traces is sent at the end."""
    secrets = logs.passwords(settings.database_url, settings.broker_url)
    secrets += filter(None, (settings.s3.secret_key,))
    logs.configure(process, format=settings.log_format, level=settings.log_level, secrets=secrets)
    if settings.traces:
        trace.start(f"holdfast-{process}")
    try:
        yield
    finally:
        trace.stop()
