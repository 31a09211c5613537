"""What Prometheus reads of the API: the queue and the devices as they are, and what was counted."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, text

from orchestrator.api.routes.metrics import Figures
from orchestrator.services.core import Core
from orchestrator.services.sweep import sweep
from schemas.words import Scope
from tests.installed import promtool
from tests.integration.api_stack import Api, new_key, serving
from tests.integration.puppet import (
    OTHER_PROJECT,
    TYPE,
    Puppet,
    add_jobs,
    done,
    lost,
    new_batch,
)

DEV = {"device": "dev-1", "device_type": TYPE}
OF_TYPE = {"device_type": TYPE}


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    with serving(core) as api:
        yield api


def scraped(api: Api) -> str:
    answer = api.call("GET", "/metrics")
    assert answer.status_code == 200, answer.text
    return answer.text


def figure(api: Api, name: str, **labels: str) -> float:
    """The sum of the samples of that name that have these labels, none of them kept from before."""
    app = api.server.config.app
    assert isinstance(app, FastAPI)
    app.state.figures = Figures()
    return found(scraped(api), name, **labels)


def found(scrape: str, name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(scrape)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_the_queue_is_told_by_depth_and_age(api: Api, core: Core, puppet: Puppet) -> None:
    new_batch(core, priority=9)
    waiting = [new_batch(core, priority=priority) for priority in (5, 0, 0)]
    with core.transaction() as tx:
        tx.connection.execute(
            text("UPDATE batch SET created_at = now() - interval '1 hour' WHERE id = :id"),
            {"id": waiting[1]},
        )
    assert figure(api, "holdfast_queue_batches", **OF_TYPE) == 3
    # The oldest of them all, whatever its priority.
    assert 3600 <= figure(api, "holdfast_queue_age_seconds", **OF_TYPE) < 3660
    puppet.serve_all()
    assert figure(api, "holdfast_queue_batches", **OF_TYPE) == 0
    assert figure(api, "holdfast_queue_age_seconds", **OF_TYPE) == 0


def test_a_seat_is_told_to_be_free_taken_or_idle(api: Api, core: Core, puppet: Puppet) -> None:
    def seat() -> tuple[float, float, float]:
        names = ("seat_occupied", "seat_idle", "windows_in_flight")
        occupied, idle, flying = (figure(api, f"holdfast_{name}", **DEV) for name in names)
        return occupied, idle, flying

    assert seat() == (0, 0, 0)
    batch = new_batch(core, open=True)
    assert seat() == (1, 0, 1)
    puppet.serve_all()
    assert seat() == (1, 1, 0)
    add_jobs(core, batch, 1)
    assert seat() == (1, 0, 1)


def test_a_device_has_one_status(api: Api, core: Core, puppet: Puppet) -> None:
    def statuses() -> list[str]:
        known = ("ONLINE", "PAUSED", "DRAINING", "OFFLINE")
        return [s for s in known if figure(api, "holdfast_device_status", **DEV, status=s)]

    assert statuses() == ["ONLINE"]
    api.post("/v1/devices/dev-1/pause", {"reason": "calibration"})
    assert statuses() == ["PAUSED"]


def test_a_run_is_counted_once_and_what_comes_again_is_dropped(
    api: Api, core: Core, puppet: Puppet
) -> None:
    ran = figure(api, "holdfast_runs_total", **OF_TYPE, outcome="done")
    dropped = figure(api, "holdfast_redeliveries_dropped_total", **OF_TYPE)
    handed = figure(api, "holdfast_handover_seconds_count", **OF_TYPE)
    new_batch(core)
    window = puppet.take()
    outcome = done(window.jobs[0])
    puppet.answer(window, outcome)
    puppet.answer(window, outcome)
    puppet.say_hello(outcome)
    assert figure(api, "holdfast_runs_total", **OF_TYPE, outcome="done") == ran + 1
    assert figure(api, "holdfast_redeliveries_dropped_total", **OF_TYPE) == dropped + 2
    assert figure(api, "holdfast_handover_seconds_count", **OF_TYPE) == handed + 1


def test_a_lost_run_and_a_permit_that_is_gone_are_counted(
    api: Api, core: Core, puppet: Puppet
) -> None:
    was_lost = figure(api, "holdfast_runs_total", **OF_TYPE, outcome="lost")
    was_gone = figure(api, "holdfast_permits_gone_total", **OF_TYPE)
    new_batch(core)
    window = puppet.take()
    assert puppet.has_permit(window.jobs[0])
    puppet.answer(window, lost(window.jobs[0]))
    assert figure(api, "holdfast_runs_total", **OF_TYPE, outcome="lost") == was_lost + 1
    again = puppet.take()
    core.permits.client.flushall()
    puppet.serve(again)
    assert figure(api, "holdfast_permits_gone_total", **OF_TYPE) == was_gone + 1


def test_the_sweep_says_what_it_found_and_when_it_last_listened(
    api: Api, core: Core, puppet: Puppet
) -> None:
    sweep(core)
    before = figure(api, "holdfast_sweep_findings_total", kind="idle")
    new_batch(core, open=True)
    puppet.serve_all()
    with core.transaction() as tx:
        tx.connection.execute(text("UPDATE batch SET idle_deadline = now() - interval '1 s'"))
    sweep(core)
    assert figure(api, "holdfast_sweep_findings_total", kind="idle") == before + 1
    assert figure(api, "holdfast_sweep_age_seconds") < 60


def test_requests_are_timed_by_the_template_of_their_address(api: Api, puppet: Puppet) -> None:
    labels = {"door": "native", "method": "GET", "route": "/v1/batches/{batch_id}"}
    name = "holdfast_http_request_seconds_count"
    ok = figure(api, name, **labels, status="200")
    missing = figure(api, name, **labels, status="404")
    nowhere = figure(api, name, door="unmatched", method="other")
    batch = api.batch()["id"]
    for each in (batch, UUID(int=3)):
        api.call("GET", f"/v1/batches/{each}")
    api.call("PROPFIND", "/nowhere")
    api.call("GET", f"/core-fast/api/v2/batches/{batch}")
    assert figure(api, name, **labels, status="200") == ok + 1
    assert figure(api, name, **labels, status="404") == missing + 1
    assert figure(api, name, door="unmatched", method="other") == nowhere + 1
    assert figure(api, name, door="pasqal", route="/core-fast/api/v2/batches/{batch_id}") >= 1
    assert batch not in scraped(api)


def test_only_operators_read_it_and_no_project_nor_controller_is_named(
    api: Api, core: Core, puppet: Puppet
) -> None:
    reader = new_key(core, (Scope.READ, Scope.SUBMIT))
    refused = api.call("GET", "/metrics", key=reader)
    nobody = httpx.get(f"{api.url}/metrics")
    assert (refused.status_code, nobody.status_code) == (403, 401)
    for answer in (refused, nobody):
        assert answer.headers["content-type"] == "application/problem+json"
    with core.transaction() as tx:
        for statement in (
            "INSERT INTO device_type (name, executor, project_id) VALUES ('byoc-x', 'remote', :p)",
            "INSERT INTO device (name, type, transport) VALUES ('byoc-x-1', 'byoc-x', 'https')",
        ):
            tx.connection.execute(text(statement), {"p": OTHER_PROJECT})
    told = scraped(api)
    assert "byoc" not in told
    assert 'holdfast_queue_batches{device_type="controller"}' in told
    assert str(OTHER_PROJECT) not in told


def test_a_scrape_is_what_prometheus_expects(api: Api, puppet: Puppet) -> None:
    puppet.serve_all()
    answer = api.call("GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    checked = subprocess.run(
        [promtool(), "check", "metrics"], input=answer.text, capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_many_scrapes_at_once_read_the_database_once(core: Core, puppet: Puppet) -> None:
    read: list[object] = []
    event.listen(core.engine, "after_execute", lambda *given: read.append(given))
    kept = Figures()
    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(lambda _: kept.now(core), range(8)))
    assert len(read) == 1
    assert all(each is told[0] for each in told)


_COUNTING = """
import sys
from orchestrator import counts
counts.settled(counts.Settled("TEST", {"done": int(sys.argv[1])}, 0, 0), ("done", "lost"))
counts.answered("GET", "/v1/batches", 200, 0.01)
"""
_READING = """
import sys
from pathlib import Path
from uuid import UUID
from orchestrator import counts
counts.answered("GET", "/v1/batches", 200, 0.01)
sys.stdout.buffer.write(counts.exposed(Path(sys.argv[1]), {counts.SWEPT: [((), 3.0)]}))
"""


def test_processes_behind_one_address_count_together(tmp_path: Path) -> None:
    def run(program: str, word: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", program, word],
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    run(_COUNTING, "2")
    run(_COUNTING, "3")
    told = run(_READING, str(tmp_path))
    assert found(told, "holdfast_runs_total", outcome="done") == 5
    assert found(told, "holdfast_runs_total", outcome="lost") == 0
    assert found(told, "holdfast_http_request_seconds_count", status="200") == 3
    assert found(told, "holdfast_sweep_age_seconds") == 3
