"""What a device worker counts for Prometheus; docs/metrics.md says what each of it means.

All of it is read off a window and its answer, so that running jobs costs nothing more.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from schemas.task import Canceled, Done, Failed, Outcome, Settle, Window

Ran = Done | Failed | Canceled
OUTCOMES: Final = ("done", "failed", "canceled", "lost", "skipped")
_LABELS: Final = ("device", "device_type")
_UNREAD_S: Final = 10
_GAPS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30)
_JOBS_S: Final = (0.001, 0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 3600, 21600)

disable_created_metrics()  # type: ignore[no-untyped-call]


class NotServed(Exception):
    """The text says where, and why not."""


class Figures(Collector):
    """Of one worker process, and so of one device. Used by the thread that runs jobs."""

    def __init__(
        self, device: str, device_type: str, *, journal: Path, held: Callable[[], bool]
    ) -> None:
        """`journal`: its folder. `held`: whether the device's session is this worker's."""
        self.registry = CollectorRegistry()
        self._of = (device, device_type)
        self._journal = journal
        self._held = held
        self._last: tuple[int, float] | None = None
        self._window_jobs = self._histogram(
            "window_jobs", "Jobs of a window.", (1, 2, 4, 8, 16, 32, 64)
        )
        self._gap = self._histogram(
            "gap_seconds", "From the end of a job to the beginning of the next one at hand.", _GAPS
        )
        self._job = self._histogram(
            "job_seconds", "From the beginning to the end of a job.", _JOBS_S
        )
        runs = Counter(
            "holdfast_worker_runs_total",
            "Runs that the worker answered for, by how they ended.",
            (*_LABELS, "outcome"),
            registry=self.registry,
        )
        self._runs = {name: runs.labels(*self._of, name) for name in OUTCOMES}
        self._repeated = Counter(
            "holdfast_worker_redeliveries_total",
            "Runs that came again, and were answered from the journal.",
            _LABELS,
            registry=self.registry,
        ).labels(*self._of)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
        metric = Histogram(
            f"holdfast_worker_{name}", about, _LABELS, buckets=buckets, registry=self.registry
        )
        return metric.labels(*self._of)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """What is looked up when it is asked for."""
        size = sum(_sizes(self._journal))
        for name, about, figure in (
            ("journal_bytes", "What the journal takes of the disk.", float(size)),
            ("session_held", "1 while this worker is the active one of its device.", self._held()),
        ):
            family = GaugeMetricFamily(f"holdfast_worker_{name}", about, labels=_LABELS)
            family.add_metric(self._of, figure)
            yield family

    def counting(self, run: Callable[[Window], Settle]) -> Callable[[Window], Settle]:
        """The same, with its windows noted."""

        def counted(window: Window) -> Settle:
            received_at = time.time()
            settle = run(window)
            self.note(window, settle, received_at)
            return settle

        return counted

    def note(self, window: Window, settle: Settle, received_at: float) -> None:
        """`received_at`: when the window came, in seconds since the epoch: what its outcomes say
        of an earlier time was in the journal."""
        self._window_jobs.observe(len(window.jobs))
        # Nothing was at hand between two windows that were not on their way together.
        ended = self._last[1] if self._last and self._last[0] == window.after else None
        for outcome in settle.outcomes:
            if _is_known(outcome, received_at):
                self._repeated.inc()
                ended = None
                continue
            self._runs[outcome.kind].inc()
            if isinstance(outcome, Ran):
                if ended is not None:
                    self._gap.observe(max(0.0, outcome.began_at - ended))
                ended = outcome.ended_at
                self._job.observe(max(0.0, outcome.ended_at - outcome.began_at))
        self._last = None if ended is None else (window.window, ended)

    def serve(self, host: str, port: int) -> None:
        """Answers Prometheus from a thread of its own until the process ends. Raises
        `NotServed`."""
        try:
            server, _ = start_http_server(port, host, self.registry)
        except OSError as error:
            raise NotServed(f"HOLDFAST_METRICS: {host}:{port} cannot be served: {error}") from error
        # Nobody may keep a thread by saying nothing.
        server.RequestHandlerClass.timeout = _UNREAD_S  # type: ignore[attr-defined]


def _is_known(outcome: Outcome, received_at: float) -> bool:
    began_at = getattr(outcome, "began_at", None)
    return began_at is not None and began_at < received_at


def _sizes(folder: Path) -> Iterator[int]:
    """What is gone by the time it is looked at takes no room."""
    for path in folder.glob("journal.db*"):
        try:
            yield path.stat().st_size
        except FileNotFoundError:
            continue
