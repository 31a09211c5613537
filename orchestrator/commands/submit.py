"""Submit: a batch, or more jobs for an open one, from a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from orchestrator.commands.batches import BatchId, print_batch
from orchestrator.commands.connection import (
    EXIT_CODES,
    USAGE,
    USE,
    ApiKey,
    AsJson,
    Url,
    connected,
    fail,
)
from orchestrator.commands.jobs import print_jobs
from orchestrator.commands.watch import Timeout, see_out

File = Annotated[str, typer.Argument(metavar="FILE", help="JSON; '-' reads stdin.")]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=USE, epilog=EXIT_CODES)(submit)
    app.command(rich_help_panel=USE, epilog=EXIT_CODES)(add)


def submit(
    file: File,
    device_type: Annotated[str | None, typer.Option(help="In place of the file's.")] = None,
    device: Annotated[str | None, typer.Option(help="Only this device of the type.")] = None,
    name: Annotated[str | None, typer.Option(help="In place of the file's.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="In place of the file's; repeatable.")
    ] = None,
    priority: Annotated[int | None, typer.Option(help="In place of the file's.")] = None,
    open: Annotated[bool | None, typer.Option(help="Let it take more jobs until closed.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until it is over.")] = False,
    timeout: Timeout = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Submitting again with the same key makes no second batch.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Submit a batch from a file: a JSON object such as
    {"device_type": "EMU_FREE", "sequence": ..., "jobs": [{"runs": 100}]}, or a list of jobs.

    Example: holdfast submit batch.json --wait
    """
    body = _read(file)
    given: dict[str, Any] = {"device_type": device_type, "device": device, "name": name}
    given |= {"tags": tag or None, "priority": priority, "open": open}
    body |= {field: value for field, value in given.items() if value is not None}
    if wait and body.get("open"):
        fail("--wait: an open batch ends only when it is closed; submit it without --wait", USAGE)
    with connected(url, api_key) as client:
        batch = client.submit(body, idempotency_key=idempotency_key)
        if wait:
            see_out(batch, timeout, as_json)
        print_batch(batch, as_json)


def add(
    batch: BatchId,
    file: File,
    wait: Annotated[bool, typer.Option("--wait", help="Until these jobs are over.")] = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Add jobs to an open batch, from a file: a list of jobs, or {"jobs": [...]}.

    Example: echo '[{"runs": 100}]' | holdfast add 0198c0de-1111-7000-8000-000000000001 -
    """
    jobs = _read(file).get("jobs")
    if not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs):
        fail(f"{file}: expected a list of jobs, each a JSON object", USAGE)
    with connected(url, api_key) as client:
        found = client.attach(batch)
        added = found.add_jobs(jobs)
        if wait:
            added = found.wait_jobs(added, timeout)
        print_jobs(added, as_json)


def _read(file: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        body = json.loads(text, parse_constant=_no_number)
    except OSError as error:
        fail(f"{file}: {error.strerror}", USAGE)
    except ValueError as error:
        fail(f"{file} is not JSON: {error}", USAGE)
    if isinstance(body, list):
        return {"jobs": body}
    if not isinstance(body, dict):
        fail(f"{file}: a batch is a JSON object, or a list of jobs", USAGE)
    return body


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number that a device could use")
