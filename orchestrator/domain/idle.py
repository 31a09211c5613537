"""When an open batch has waited too long for its owner."""

from datetime import datetime, timedelta


def idle_deadline(now: datetime, allowance_s: float) -> datetime:
    return now + timedelta(seconds=allowance_s)


def is_idle(is_open: bool, jobs_left: int, deadline: datetime | None, now: datetime) -> bool:
    """True once the deadline has passed and nothing came in between."""
    return is_open and jobs_left == 0 and deadline is not None and deadline < now
