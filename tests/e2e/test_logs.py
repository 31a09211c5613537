"""What real processes say on a bad day: every line of one form, and nobody's secret in any."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from schemas.logs import ALWAYS
from tests.e2e.stack import Stack, running_stack
from tests.waiting import until

WRONG_KEY = "av_8yN5zR0vQm3Xb7LkT1cW9pJdEhGuSaFo2iV4x8m2"


@dataclass(frozen=True)
class Day:
    """What was said until the last process had ended, and what nobody may have said."""

    format: str
    project: str
    broken: dict[str, Any]
    lines: dict[str, list[str]]
    secrets: list[str]


@pytest.fixture(scope="module", params=["json", "text"])
def day(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("said")
    level = {"HOLDFAST_LOG_FORMAT": request.param, "HOLDFAST_LOG_LEVEL": "DEBUG"}
    with running_stack(folder, **level) as stack:
        stack.worker("said")
        stack.online("said")
        broken = _run(stack, {"do": "raise", "reason": f"the key is {stack.api_key}"})
        signed = _open_links(stack, _run(stack, {"do": "noop"})["job"])
        _call_with_wrong_keys(stack)
        _kill_the_servers(stack)
        _run(stack, {"do": "noop"})
        stack.close()
        urls = (stack.servers.database, stack.servers.broker)
        passwords = [word for url in urls if (word := urlsplit(url).password)]
        assert len(passwords) == 2
        secrets = [*passwords, stack.api_key[3:], WRONG_KEY[3:], *signed]
        yield Day(request.param, stack.project_id, broken, _lines(folder), secrets)


def _run(stack: Stack, payload: dict[str, Any]) -> dict[str, Any]:
    """One job, to its end: its ids."""
    with stack.client() as client:
        batch = client.submit({"device_type": "TEST", "jobs": [{"payload": payload}]})
    until(lambda: _ended(stack, batch.id), 40)
    rows = stack.sql("SELECT id::text, run FROM job WHERE batch_id = %s", batch.id)
    return {"batch": str(batch.id), "job": rows[0][0], "run": rows[0][1]}


def _ended(stack: Stack, batch: object) -> bool:
    return bool(stack.sql("SELECT status FROM batch WHERE id = %s", batch)[0][0] == "DONE")


def _open_links(stack: Stack, job: str) -> list[str]:
    """Signatures: a right one, and one that opens nothing."""
    path = f"/core-fast/api/v1/jobs/{job}/results_link"
    key = {"Authorization": f"Bearer {stack.api_key}"}
    link = httpx.get(stack.url + path, headers=key, timeout=10).json()["data"]["results_link"]
    signed = parse_qs(urlsplit(link).query)["signature"][0]
    httpx.get(link, timeout=10)
    httpx.get(link.replace(signed, signed[::-1]), timeout=10)
    return [signed, signed[::-1]]


def _call_with_wrong_keys(stack: Stack) -> None:
    for header in (f"Bearer {WRONG_KEY}", f"Basic {WRONG_KEY}"):
        for path in ("/v1/batches", "/core-fast/api/v1/batches"):
            answer = httpx.get(stack.url + path, headers={"Authorization": header}, timeout=10)
            assert answer.status_code == 401


def _kill_the_servers(stack: Stack) -> None:
    """Long enough for every process to find out."""
    valkey, postgres = stack.servers.valkey, stack.servers.postgres
    assert valkey is not None and postgres is not None
    stack.servers.kill()
    key = {"Authorization": f"Bearer {stack.api_key}"}
    answer = httpx.get(f"{stack.url}/v1/batches", headers=key, timeout=20)
    assert answer.status_code == 503
    logs = [stack.folder / f"{name}.log" for name in ("control", "beat", "worker-3")]
    until(lambda: all("onnection" in log.read_text() for log in logs), 40)
    valkey.start()
    postgres.start()
    until(stack.api_answers, 30)


def _lines(folder: Path) -> dict[str, list[str]]:
    return {log.stem: log.read_text().splitlines() for log in folder.glob("*.log")}


def test_no_secret_is_in_any_log(day: Day) -> None:
    assert sorted(day.lines) == ["api", "beat", "control", "worker-3"]
    for name, lines in day.lines.items():
        told = "\n".join(lines)
        assert [word for word in day.secrets if word in told] == [], name


def test_a_line_about_a_job_names_its_project_and_batch_too(day: Day) -> None:
    known = {"project": day.project, **day.broken}
    (line,) = [each for each in day.lines["worker-3"] if " raised" in each]
    if day.format == "json":
        assert {name: json.loads(line)[name] for name in ALWAYS} == known
    else:
        assert " ".join(f"{name}={known[name]}" for name in ALWAYS) in line


def test_every_line_of_json_can_be_read(day: Day) -> None:
    if day.format == "text":
        heads = [line.split()[2] for line in day.lines["control"] if line.startswith("20")]
        assert set(heads) <= {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
        return
    for name, lines in day.lines.items():
        for line in lines:
            assert {"time", "level", "event", *ALWAYS} <= json.loads(line).keys(), (name, line)
