"""A trace follows a batch through every process; a collector that is away costs nothing else."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.collector import Collector, Span, collecting
from tests.e2e.stack import Stack, running_stack
from tests.waiting import until

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Stack]:
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running_stack(tmp_path_factory.mktemp("traced"), **settings) as stack:
        stack.worker("traced")
        stack.online("traced")
        yield stack


def run_batch(stack: Stack, jobs: int, **headers: str) -> str:
    """The id of a batch that is done."""
    body = {"device_type": "TEST", "jobs": [{"payload": {"do": "noop"}} for _ in range(jobs)]}
    said = {"Authorization": f"Bearer {stack.api_key}", **headers}
    answer = httpx.post(f"{stack.url}/v1/batches", json=body, headers=said, timeout=10)
    assert answer.status_code == 201, answer.text
    batch = str(answer.json()["id"])
    until(lambda: status_of(stack, batch) == "DONE", 30)
    return batch


def status_of(stack: Stack, batch: str) -> Any:
    return stack.sql("SELECT status FROM batch WHERE id = %s", batch)[0][0]


def named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


def done(spans: list[Span]) -> list[str]:
    """The jobs that ended. One that came before its turn was skipped, and came again."""
    ended = (
        span.about for span in named(spans, "job") if span.about.get("holdfast.outcome") == "done"
    )
    return sorted(about["holdfast.job"] for about in ended)


def complete(collector: Collector, trace: str, jobs: int) -> list[Span]:
    """What the collector has of the trace, once the last of it has come in: a span is sent when it
    ends, so parents come after their children, and from other processes."""

    def is_there() -> bool:
        spans = collector.of(trace)
        known = {span.id for span in spans} | {CALLER, ""}
        if not named(spans, "submit") or any(span.parent not in known for span in spans):
            return False
        settled = len(named(spans, "settle")) == len(named(spans, "execute"))
        return settled and len(done(spans)) == jobs

    until(is_there, 20)
    return collector.of(trace)


def test_a_batch_continues_the_trace_of_its_call_through_every_process(
    stack: Stack, collector: Collector
) -> None:
    batch = run_batch(stack, 3, traceparent=f"00-{TRACE}-{CALLER}-01")
    spans = complete(collector, TRACE, jobs=3)
    by_id = {span.id: span for span in spans}
    (submit,) = named(spans, "submit")
    assert (submit.service, submit.parent) == ("holdfast-api", CALLER)
    assert submit.about["holdfast.batch"] == batch
    assert submit.about["holdfast.project"] == stack.project_id
    assert submit.about["holdfast.jobs"] == 3
    chain = {"stage": "submit", "execute": "stage", "job": "execute", "settle": "execute"}
    for name, parent in chain.items():
        assert {by_id[span.parent].name for span in named(spans, name)} == {parent}, name
    services = {name: {span.service for span in named(spans, name)} for name in chain}
    assert services["execute"] == services["job"] == {"holdfast-worker"}
    assert services["settle"] == {"holdfast-control"}
    rows = stack.sql("SELECT id::text FROM job WHERE batch_id = %s", batch)
    assert done(spans) == sorted(row[0] for row in rows)


def test_a_batch_without_one_begins_a_trace_of_its_own(stack: Stack, collector: Collector) -> None:
    batches = [run_batch(stack, 1) for _ in range(2)]
    until(lambda: all(named(collector.about(each), "submit") for each in batches), 20)
    first, second = (named(collector.about(each), "submit")[0] for each in batches)
    assert first.trace != second.trace
    assert first.parent == second.parent == ""
    assert {span.name for span in complete(collector, first.trace, jobs=1)} == {
        *("submit", "stage", "execute", "job", "settle")
    }


def test_a_header_that_is_none_is_passed_over(stack: Stack, collector: Collector) -> None:
    batch = run_batch(stack, 1, traceparent="00-not-a-trace")
    until(lambda: named(collector.about(batch), "submit"), 20)
    assert named(collector.about(batch), "submit")[0].parent == ""


def test_a_collector_that_never_answers_delays_no_batch_and_no_end(
    stack: Stack, collector: Collector
) -> None:
    collector.hears.clear()
    run_batch(stack, 2)
    run_batch(stack, 2)
    stack.close()
    ends = {name: part.process and part.process.returncode for name, part in stack.parts.items()}
    assert ends == dict.fromkeys(stack.parts, 0)
