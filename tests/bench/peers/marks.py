"""What a peer's worker writes down, so that every contender is timed at the same place: inside
the job. The clock is the machine's monotonic one, which all processes here share."""

import json
import time
from collections.abc import Callable
from pathlib import Path


def counting() -> Callable[[int, str], None]:
    """A no-op job that counts its calls; the last of a run writes when the first and it began.

    A closure, because Celery takes no bound method for a task.
    """
    seen: list[float] = []

    def noop(total: int, report: str) -> None:
        seen.append(time.monotonic())
        if len(seen) >= total:
            write(report, {"first": seen[0], "last": seen[-1], "jobs": len(seen)})
            seen.clear()

    return noop


def stamp(report: str) -> None:
    """The one job of an idle dispatch: when did it begin?"""
    write(report, {"first": time.monotonic(), "last": time.monotonic(), "jobs": 1})


def write(report: str, content: dict[str, float]) -> None:
    whole = Path(f"{report}.part")
    whole.write_text(json.dumps(content))
    whole.replace(report)
