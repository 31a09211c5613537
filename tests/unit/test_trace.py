"""When traces are sent, and what it costs when they are not."""

import pytest

from orchestrator.config import BadSettings, Settings
from schemas import trace

GOOD = {
    "HOLDFAST_DATABASE_URL": "postgresql://user@host/name",
    "HOLDFAST_BROKER_URL": "redis://host",
}
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def test_traces_are_sent_where_an_exporter_is_configured() -> None:
    assert not Settings.from_env(GOOD).traces
    assert Settings.from_env(GOOD | ENDPOINT).traces
    assert not Settings.from_env(GOOD | ENDPOINT | {"OTEL_SDK_DISABLED": "true"}).traces
    assert not Settings.from_env(GOOD | ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}).traces


def test_an_exporter_that_is_not_installed_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trace, "_NEEDED", ("nobody.has.this",))
    with pytest.raises(BadSettings, match=r"OTEL_EXPORTER_OTLP_ENDPOINT .*\[tracing\]"):
        Settings.from_env(GOOD | ENDPOINT)


def test_without_an_exporter_nothing_is_made() -> None:
    with trace.span("submit", batch="b"):
        assert trace.here() is None
    assert trace.span("submit") is trace.continuing("00-1-2-01")
