"""Jobs: list, look at, cancel, try again."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.commands.batches import LeaveRunning
from orchestrator.commands.connection import EXIT_CODES, USE, ApiKey, AsJson, Url, connected
from orchestrator.commands.display import ago, between, print_details, print_json, print_table
from orchestrator.commands.display import status as shown_status
from schemas.words import JobStatus

if TYPE_CHECKING:
    from holdfast import CancelVerdict, Client, Job

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]


def register(app: typer.Typer) -> None:
    for name, command in (
        ("jobs", list_jobs),
        ("job", show_job),
        ("cancel-job", cancel_job),
        ("retry", retry),
    ):
        app.command(name, rich_help_panel=USE, epilog=EXIT_CODES)(command)


def list_jobs(
    batch: Annotated[
        str | None, typer.Argument(metavar="[BATCH]", help="Only of this one.")
    ] = None,
    status: Annotated[list[JobStatus] | None, typer.Option(help="Repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """List jobs in the order of submission.

    Example: holdfast jobs 0198c0de-1111-7000-8000-000000000001 --status ERROR
    """
    with connected(url, api_key) as client:
        if batch:
            client.attach(batch)
        found = client.jobs(batch_id=batch, status=status or None, page_size=min(limit, 100))
        print_jobs(itertools.islice(found, limit), as_json)


def print_jobs(jobs: Iterable[Job], as_json: bool) -> None:
    if as_json:
        return print_json([job.to_dict() for job in jobs])
    rows = [
        (
            job.ordinal,
            job.id,
            shown_status(job.status),
            job.runs,
            job.device,
            between(job.started_at, job.ended_at),
            ago(job.created_at),
            job.reason,
        )
        for job in jobs
    ]
    columns = ("#", "ID", "STATUS", "RUNS", "DEVICE", "TOOK", "CREATED", "REASON")
    return print_table(columns, rows, "no jobs")


def show_job(job: JobId, as_json: AsJson = False, url: Url = None, api_key: ApiKey = None) -> None:
    """Show one job.

    Example: holdfast job 0198c0de-1111-7000-8000-000000000002
    """
    with connected(url, api_key) as client:
        found = client.job(job)
        if as_json:
            return print_json(found.to_dict())
        facts = {**found.to_dict(), "status": shown_status(found.status)}
        moments = ("created_at", "started_at", "ended_at")
        facts.update({name: getattr(found, name) for name in moments})
        return print_details({name.replace("_", " "): fact for name, fact in facts.items()})


def _cancel(client: Client, job: str, *, interrupt: bool) -> CancelVerdict:
    from holdfast import CancelVerdict, Conflict

    try:
        return client.job(job).cancel(interrupt=interrupt)
    except Conflict as error:
        # It runs, and is to be left: a verdict like the others, and not the end of the list.
        if error.code != "still_running":
            raise
        return CancelVerdict(id=job, verdict="running")


def cancel_job(
    jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids of jobs.")],
    leave_running: LeaveRunning = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Cancel jobs. The verdict says what became of each: canceled, interrupting, running or ended.

    Example: holdfast cancel-job 0198c0de-1111-7000-8000-000000000002
    """
    with connected(url, api_key) as client:
        verdicts = [_cancel(client, job, interrupt=not leave_running) for job in jobs]
    if as_json:
        return print_json([verdict.to_dict() for verdict in verdicts])
    rows = [(verdict.id, verdict.verdict) for verdict in verdicts]
    return print_table(("ID", "VERDICT"), rows, "nothing to cancel")


def retry(job: JobId, as_json: AsJson = False, url: Url = None, api_key: ApiKey = None) -> None:
    """Append a new job like this one to its batch, which must still be open.

    Example: holdfast retry 0198c0de-1111-7000-8000-000000000002
    """
    with connected(url, api_key) as client:
        again = client.attach(client.job(job).batch_id).retry(job)
        print_jobs([again], as_json)
