"""Results: of one job, or of a whole batch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from orchestrator.commands.batches import BatchId
from orchestrator.commands.connection import (
    EXIT_CODES,
    REFUSED,
    USE,
    ApiKey,
    AsJson,
    Url,
    connected,
    fail,
)
from orchestrator.commands.display import print_json, print_table
from orchestrator.commands.display import status as shown_status
from orchestrator.commands.jobs import JobId
from orchestrator.commands.watch import Timeout

if TYPE_CHECKING:
    from holdfast import Client

SHOWN_CHARACTERS: Final = 80
Wait = Annotated[bool, typer.Option("--wait", help="Until it is there.")]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=USE, epilog=EXIT_CODES)(result)
    app.command(rich_help_panel=USE, epilog=EXIT_CODES)(results)


def result(
    job: JobId,
    wait: Wait = False,
    timeout: Timeout = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Print the result of a job, always as JSON.

    Example: holdfast result 0198c0de-1111-7000-8000-000000000002 --wait > result.json
    """
    with connected(url, api_key) as client:
        print_json(_result(client, job, wait, timeout))


def _result(client: Client, job_id: str, wait: bool, timeout: float | None) -> Any:
    job = client.job(job_id)
    if not wait and not job.is_over:
        fail(f"job {job_id} is {job.status}; --wait waits for its result", REFUSED)
    return job.result(timeout)


def results(
    batch: BatchId,
    wait: Wait = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Print the results of a batch's jobs, in the order of submission.

    Example: holdfast results 0198c0de-1111-7000-8000-000000000001 --json > results.json
    """
    with connected(url, api_key) as client:
        found = client.attach(batch)
        if found.jobs_left and not wait:
            fail(f"{found.jobs_left} job(s) of it are not over; --wait waits for them", REFUSED)
        ends = found.results(timeout)
    if as_json:
        return print_json([end.to_dict() for end in ends])
    rows = [
        (end.ordinal, end.job_id, shown_status(end.status), _brief(end.value) or end.reason)
        for end in ends
    ]
    return print_table(("#", "ID", "STATUS", "RESULT"), rows, "no jobs")


def _brief(value: Any) -> str:
    shown = "" if value is None else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[:SHOWN_CHARACTERS]}…"
