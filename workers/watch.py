"""A look at a running job every 200 ms: what may have to stop it, and why it had to."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from schemas.task import Began, Canceled, Failed, JobTask, Lost, Window

if TYPE_CHECKING:
    from workers.execute import Execution


class Watch:
    """Looks at a running job every 200 ms, and remembers why it had to stop."""

    def __init__(
        self, execution: "Execution", window: Window, task: JobTask, began_at: float
    ) -> None:
        self.task = task
        self.began_at = began_at
        self._on = execution
        self._window = window
        self._wall_s = min(filter(None, (task.wall_s, execution.wall_s)), default=None)
        self._started = time.monotonic()
        self._told = False
        self._why: Callable[[float], Failed | Canceled | Lost] = self._lost

    def tick(self) -> bool:
        if not self._told:
            self._told = True
            self._tell()
        if self._on.shift.now.is_set() or not self._on.shift.is_ours(self._window.session):
            self._why = self._lost
            return True
        if self._wall_s is not None and time.monotonic() - self._started >= self._wall_s:
            self._why = self._overran
            return True
        if self._on.permits.interrupted(self.task.job, self.task.run):
            self._why = self._canceled
            return True
        return False

    def verdict(self, at: float) -> Failed | Canceled | Lost:
        return self._why(at)

    def failed(self, reason: str, at: float) -> Failed:
        return Failed(
            job=self.task.job,
            run=self.task.run,
            began_at=self.began_at,
            ended_at=at,
            reason=reason,
        )

    def _overran(self, at: float) -> Failed:
        return self.failed(f"exceeded its wall limit of {self._wall_s:g} s", at)

    def _canceled(self, at: float) -> Canceled:
        return Canceled(job=self.task.job, run=self.task.run, began_at=self.began_at, ended_at=at)

    def _lost(self, at: float) -> Lost:
        return Lost(job=self.task.job, run=self.task.run, began_at=self.began_at)

    def _tell(self) -> None:
        self._on.tell(
            Began(
                device=self._on.device,
                session=self._window.session,
                window=self._window.window,
                job=self.task.job,
                run=self.task.run,
                began_at=self.began_at,
            )
        )
