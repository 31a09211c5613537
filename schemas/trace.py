"""Traces: spans from submit to settle where an exporter is configured; nothing at all otherwise.

A trace travels as a W3C traceparent: in the header of a call, in the row of its batch, in the
headers of the messages. A collector that is away costs spans, never work.
"""

import importlib.util
import threading
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

HEADER: Final = "traceparent"
NEW: Final = ""
"""As a parent: none; the span begins a trace of its own."""
FLUSH_S: Final = 3.0
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NEEDED: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
_OFF: Final = nullcontext()

_provider: "TracerProvider | None" = None
_tracer: "Tracer | None" = None


def wanted(env: Mapping[str, str]) -> bool:
    """Whether an exporter is configured. Raises ValueError, with what to install, where it is and
    cannot be used."""
    named = next((name for name in _ENDPOINTS if env.get(name)), None)
    off = env.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if named is None or off or env.get("OTEL_TRACES_EXPORTER", "").lower() == "none":
        return False
    if not all(map(_is_there, _NEEDED)):
        raise ValueError(
            f"{named} is set, but OpenTelemetry's SDK and its OTLP/HTTP exporter are not installed:"
            " install holdfast-server[tracing], or set OTEL_SDK_DISABLED=true"
        )
    return True


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def start(service: str) -> None:
    """From now on spans are sent, as the OTEL_* variables say; `service` is who sends them."""
    global _provider, _tracer
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    _provider = TracerProvider(
        resource=Resource.create({"service.name": service}), shutdown_on_exit=False
    )
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = _provider.get_tracer("holdfast")


def stop() -> None:
    """Sends what is left, for at most `FLUSH_S`: the SDK itself would wait for half a minute."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        last = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
        last.start()
        last.join(FLUSH_S)


def is_on() -> bool:
    return _tracer is not None


def span(
    name: str, parent: str | None = None, since_ns: int | None = None, /, **about: Any
) -> AbstractContextManager[None]:
    """What is done inside, as a span: of `parent`, a traceparent, or else of the span around it.
    It began at `since_ns` of the epoch. `about` become attributes `holdfast.*`; an error is told
    by its type alone."""
    if _tracer is None:
        return _OFF
    return _span(_tracer, name, parent, since_ns, about)


@contextmanager
def _span(
    tracer: "Tracer",
    name: str,
    parent: str | None,
    since_ns: int | None,
    about: Mapping[str, Any],
) -> Generator[None]:
    from opentelemetry.trace import StatusCode

    with tracer.start_as_current_span(
        name,
        None if parent is None else _read(parent),
        attributes=_attributes(about),
        start_time=since_ns,
        record_exception=False,
        set_status_on_exception=False,
    ) as opened:
        try:
            yield
        except BaseException as error:
            opened.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def note(**about: Any) -> None:
    """More attributes of the span that is open here."""
    if _tracer is not None:
        from opentelemetry.trace import get_current_span

        get_current_span().set_attributes(_attributes(about))


def here() -> str | None:
    """The traceparent of the span that is open here; None where there is none."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(HEADER)


def continuing(parent: str | None) -> AbstractContextManager[None]:
    """What is done inside continues a trace that somebody else began, if there is one."""
    if _tracer is None or parent is None:
        return _OFF
    return _continuing(parent)


@contextmanager
def _continuing(parent: str) -> Generator[None]:
    from opentelemetry.context import attach, detach

    token = attach(_read(parent))
    try:
        yield
    finally:
        detach(token)


def _read(parent: str) -> "Context":
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({HEADER: parent}, Context())


def _attributes(about: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"holdfast.{name}": value if isinstance(value, int) else str(value)
        for name, value in about.items()
        if value is not None
    }
