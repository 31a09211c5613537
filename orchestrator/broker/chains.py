"""A window becomes a chain of two: run on the device, settle at home."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from celery import Celery, signature

from schemas import failpoint, logs
from schemas.task import CONTROL_QUEUE, EXECUTE, SETTLE, Window, device_queue, window_task

NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Chains:
    app: Celery

    def send(self, window: Window, headers: Mapping[str, str] = NONE) -> None:
        """Raises when the broker does not take it; the sweep then sends it again."""
        with logs.about(batch=window.batch, device=window.device, window=window.window):
            self._send(window, headers)

    def _send(self, window: Window, headers: Mapping[str, str]) -> None:
        settle = signature(SETTLE, app=self.app).set(
            queue=CONTROL_QUEUE, argsrepr=f"(window {window.window} of {window.device})"
        )
        ordinals = [task.ordinal for task in window.jobs]
        self.app.send_task(
            EXECUTE,
            args=[window.model_dump()],
            headers=dict(headers),
            queue=device_queue(window.device),
            task_id=window_task(window.window),
            chain=[settle],
            argsrepr=f"(batch {window.batch}, jobs {_span(ordinals)} of window {window.window})",
            kwargsrepr="{}",
            ignore_result=True,
        )
        failpoint.reach("chain.published")


def _span(ordinals: list[int]) -> str:
    first, last = ordinals[0], ordinals[-1]
    return f"{first}" if first == last else f"{first}-{last}"
