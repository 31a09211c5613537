"""Beat's clock."""

from celery.beat import Scheduler


class Punctual(Scheduler):  # type: ignore[misc]
    """Sleeps until a task is due. Its parent wakes 10 ms before and spins for the rest: with one
    task a second, that was two thirds of what beat costs."""

    def adjust(self, n: float, drift: float = 0.0) -> float:
        return n + drift
