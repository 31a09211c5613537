"""What the parts tell Prometheus and Flower, as an operator runs them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.broker.celery_app import celery_app
from orchestrator.domain.links import flower_task
from orchestrator.embedded import free_port
from tests.e2e.stack import HOLDFAST, Part, Stack, deeds
from tests.waiting import until

PREFIX = "flower"


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {name: free_port() for name in ("control", "worker", "flower")}


@pytest.fixture(scope="module")
def watched(stack: Stack, ports: dict[str, int]) -> Stack:
    """Control and a worker that answer Prometheus."""
    stack.parts["control"].stop()
    stack.part("control", "control", HOLDFAST_METRICS=f"127.0.0.1:{ports['control']}")
    stack.worker("dev-m", device_type="M", HOLDFAST_METRICS=f"127.0.0.1:{ports['worker']}")
    stack.online("dev-m")
    return stack


@pytest.fixture(scope="module")
def flower(watched: Stack, ports: dict[str, int]) -> Iterator[Part]:
    part = watched.part(
        *("flower", "flower", "--port", str(ports["flower"])),
        FLOWER_URL_PREFIX=PREFIX,
        FLOWER_BASIC_AUTH="ops:secret",
        FLOWER_PERSISTENT="true",
        FLOWER_DB=str(watched.folder / "flower"),
    )
    yield part
    part.stop()


def figure(port: int, name: str, **labels: str) -> float:
    told = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    return sum(
        sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def shown(url: str) -> str:
    """Empty while Flower is not there, or does not know of it."""
    try:
        answer = httpx.get(url, auth=("ops", "secret"))
    except httpx.TransportError:
        return ""
    return answer.text if answer.is_success else ""


def test_a_real_run_moves_the_figures_of_control_and_worker(
    watched: Stack, ports: dict[str, int], log: Path
) -> None:
    control, worker = ports["control"], ports["worker"]
    with watched.client() as client:
        for _ in range(2):
            client.create_batch("M", deeds(5, log)).wait(timeout=60)
    # An answer is sent before it is counted, by a hair.
    until(lambda: figure(control, "holdfast_runs_total", device_type="M", outcome="done") == 10)
    of = {"device": "dev-m", "device_type": "M"}
    assert figure(worker, "holdfast_worker_runs_total", **of, outcome="done") == 10
    assert figure(worker, "holdfast_worker_window_jobs_sum", **of) == 10
    assert figure(worker, "holdfast_worker_job_seconds_sum", **of) >= 10 * 0.02
    # Each batch has four pairs of neighbours, whichever windows they came in.
    assert figure(worker, "holdfast_worker_gap_seconds_count", **of) == 8
    assert figure(worker, "holdfast_worker_session_held", **of) == 1
    assert figure(worker, "holdfast_worker_journal_bytes", **of) > 0
    assert figure(control, "holdfast_handover_seconds_count", device_type="M") == 2
    assert figure(control, "holdfast_control_task_seconds_count", task="settle") >= 2
    until(lambda: figure(control, "holdfast_control_task_seconds_count", task="sweep"))


def test_flower_shows_the_window_that_the_jobs_own_history_names(
    watched: Stack, flower: Part, ports: dict[str, int], log: Path
) -> None:
    url = f"http://127.0.0.1:{ports['flower']}/{PREFIX}"
    until(lambda: "dev-m@" in shown(f"{url}/workers?json=1"), 30)
    with watched.client() as client:
        batch = client.create_batch("M", deeds(1, log))
        batch.wait(timeout=60)
        (job,) = batch.jobs()
    [(detail,)] = watched.sql(
        "SELECT detail FROM event WHERE job_id = %s AND kind = 'started'", job.id
    )
    assert detail["run"] == 1
    page = flower_task(url, detail["window"])
    until(lambda: batch.id in shown(page) and "SUCCESS" in shown(page), 30)
    assert httpx.get(page).status_code == 401
    flower.stop()
    flower.start()
    until(lambda: batch.id in shown(page), 30)


def test_a_window_that_comes_twice_harms_neither_worker_nor_history(
    watched: Stack, ports: dict[str, int], log: Path
) -> None:
    """Its second message has the id of the first, which may still be running then."""
    repeated = figure(ports["worker"], "holdfast_worker_redeliveries_total")
    with watched.client() as client:
        batch = client.create_batch("M", deeds(1, log, seconds=1.5))
        until(lambda: log.exists())
        send_again(watched, batch.id)
        batch.wait(timeout=60)
        assert [job.status for job in batch.jobs()] == ["DONE"]
        until(lambda: figure(ports["worker"], "holdfast_worker_redeliveries_total") == repeated + 1)
        client.create_batch("M", deeds(2, log)).wait(timeout=60)


def send_again(stack: Stack, batch: str) -> None:
    """The message of the window that runs, as the worker holds it."""
    app = celery_app(stack.servers.broker)
    with app.connection_for_read() as link:
        redis = link.default_channel.client
        (held,) = redis.hvals("unacked")
    message, exchange, key = json.loads(held)
    assert batch in str(message["headers"]["argsrepr"])
    message["properties"]["delivery_tag"] = "again"
    redis.lpush("device.dev-m", json.dumps(message))
    assert exchange is not None and key
    app.close()


@pytest.mark.parametrize("words", [("worker", "--device", "x", "--type", "M"), ("control",)])
def test_a_port_that_is_taken_is_an_error_that_names_the_setting(
    watched: Stack, ports: dict[str, int], words: tuple[str, ...], tmp_path: Path
) -> None:
    taken = {**watched.env, "HOLDFAST_METRICS": f"127.0.0.1:{ports['worker']}"}
    taken["HOLDFAST_JOURNAL_DIR"] = str(tmp_path)
    part = Part("taken", (*words,), taken, tmp_path / "log", program=(HOLDFAST,))
    part.start()
    assert part.process is not None
    assert part.process.wait(60) == 2
    assert re.search(r"HOLDFAST_METRICS: 127\.0\.0\.1:\d+ cannot be", part.log.read_text())
