"""What this side counts for Prometheus; docs/metrics.md says what each of it means.

A service counts after its commit: what was rolled back has not happened.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

MEDIA_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
CONTROLLERS: Final = "controller"
"""The label of all device types that are users' own: their names are nobody else's business."""
_UNREAD_S: Final = 10
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_DOORS: Final = {
    **dict.fromkeys(("v1",), "native"),
    **dict.fromkeys(("core-fast", "account", "oauth"), "pasqal"),
    **dict.fromkeys(("api",), "submit-batch"),
    **dict.fromkeys(("health", "metrics", "docs", "openapi.json"), "service"),
}
_NOWHERE: Final = "unmatched"

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY: Final = CollectorRegistry()

http: Final = Histogram(
    "holdfast_http_request_seconds",
    "From the arrival of a request to the beginning of its answer.",
    ("door", "method", "route", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
runs: Final = Counter(
    "holdfast_runs_total",
    "Runs that devices answered for, by what became of them.",
    ("device_type", "outcome"),
    registry=REGISTRY,
)
dropped: Final = Counter(
    "holdfast_redeliveries_dropped_total",
    "Outcomes of runs that are not the current one any more: late twins and repeated messages.",
    ("device_type",),
    registry=REGISTRY,
)
gone: Final = Counter(
    "holdfast_permits_gone_total",
    "Runs that a worker did not begin because their permit was not there.",
    ("device_type",),
    registry=REGISTRY,
)
handover: Final = Histogram(
    "holdfast_handover_seconds",
    "From the moment a batch gets a seat to the beginning of its first job.",
    ("device_type",),
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60),
    registry=REGISTRY,
)
findings: Final = Counter(
    "holdfast_sweep_findings_total",
    "What the sweep found to be done, each time it looked.",
    ("kind",),
    registry=REGISTRY,
)
failures: Final = Counter(
    "holdfast_sweep_failures_total",
    "Parts of a sweep that failed, and are tried again by the next one.",
    ("part",),
    registry=REGISTRY,
)
tasks: Final = Histogram(
    "holdfast_control_task_seconds",
    "How long the control process takes for a message, with its own retries.",
    ("task",),
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
    registry=REGISTRY,
)


class Settled(NamedTuple):
    """One message of outcomes: how many of each fate, how many late, how many without permit."""

    device_type: str
    fates: Mapping[str, int]
    late: int
    gone: int


def settled(known: Settled, every_fate: Iterable[str]) -> None:
    _begin(known.device_type, tuple(every_fate))
    for fate, n in known.fates.items():
        runs.labels(known.device_type, fate).inc(n)
    dropped.labels(known.device_type).inc(known.late)
    gone.labels(known.device_type).inc(known.gone)


@cache
def _begin(device_type: str, every_fate: Sequence[str]) -> None:
    """All at nought: the first increase of a series that was not there cannot be seen."""
    for fate in every_fate:
        runs.labels(device_type, fate)


def kind(device_type: str, transport: str) -> str:
    """The label of a device type."""
    return CONTROLLERS if transport == "https" else device_type


def answered(method: str, route: str | None, status: int, seconds: float) -> None:
    """`route` is the template of the address; None where nothing fits."""
    door = _NOWHERE if route is None else _DOORS.get(route.split("/")[1], "portal")
    known = method if method in _METHODS else "other"
    http.labels(door, known, route or _NOWHERE, str(status)).observe(seconds)


class Gauge(NamedTuple):
    """A figure that is read when it is asked for."""

    name: str
    about: str
    labels: tuple[str, ...]


OF_TYPE: Final = ("device_type",)
OF_DEVICE: Final = ("device", "device_type")
QUEUE: Final = Gauge("holdfast_queue_batches", "Batches that wait for a device.", OF_TYPE)
AGE: Final = Gauge(
    "holdfast_queue_age_seconds", "How long ago the oldest waiting batch was sent in.", OF_TYPE
)
STATUS: Final = Gauge(
    "holdfast_device_status",
    "1 for the status that a device has, 0 for the others.",
    (*OF_DEVICE, "status"),
)
SEAT: Final = Gauge("holdfast_seat_occupied", "1 while a batch has the seat.", OF_DEVICE)
IDLE: Final = Gauge(
    "holdfast_seat_idle", "1 while the batch on the seat is open and has no job left.", OF_DEVICE
)
SIZE: Final = Gauge("holdfast_window_size", "Jobs that the next window may take.", OF_DEVICE)
FLYING: Final = Gauge(
    "holdfast_windows_in_flight", "Windows handed to a device and not yet settled.", OF_DEVICE
)
SWEPT: Final = Gauge(
    "holdfast_sweep_age_seconds", "Since a sweep last listened to the heartbeats.", ()
)
READ: Final = (QUEUE, AGE, STATUS, SEAT, IDLE, SIZE, FLYING, SWEPT)

Readings = Mapping[Gauge, Sequence[tuple[tuple[str, ...], float]]]
"""The figures that were read: the values of the labels, and the figure."""


class _Read(Collector):
    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for gauge, rows in self._readings.items():
            family = GaugeMetricFamily(gauge.name, gauge.about, labels=gauge.labels)
            for labels, figure in rows:
                family.add_metric(labels, figure)
            yield family


def exposed(shared: Path | None, readings: Readings) -> bytes:
    """What Prometheus reads. `shared`: the folder where all processes that answer at one address
    count; None: this process alone does."""
    return generate_latest(_counted(shared)) + generate_latest(_Read(readings))


class NotServed(Exception):
    """The text says where, and why not."""


def serve(host: str, port: int, shared: Path | None) -> None:
    """Answers Prometheus from a thread of its own until the process ends. Raises `NotServed`."""
    try:
        server, _ = start_http_server(port, host, _counted(shared))
    except OSError as error:
        raise NotServed(f"HOLDFAST_METRICS: {host}:{port} cannot be served: {error}") from error
    # Nobody may keep a thread by saying nothing.
    server.RequestHandlerClass.timeout = _UNREAD_S  # type: ignore[attr-defined]


@cache
def _counted(shared: Path | None) -> CollectorRegistry:
    registry = CollectorRegistry() if shared else REGISTRY
    if shared:
        MultiProcessCollector(registry, str(shared))  # type: ignore[no-untyped-call]
    else:
        ProcessCollector(registry=registry)
    return registry
