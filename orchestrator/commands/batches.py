"""Batches: submit, list, look at, change."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.commands.connection import (
    EXIT_CODES,
    NOT_FOUND,
    USE,
    ApiKey,
    AsJson,
    Url,
    connected,
    fail,
)
from orchestrator.commands.display import ago, between, print_details, print_json, print_table
from orchestrator.commands.display import status as shown_status
from schemas.words import BatchStatus, JobStatus

if TYPE_CHECKING:
    from holdfast import Batch

BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id.")]
LeaveRunning = Annotated[
    bool, typer.Option("--leave-running", help="Let the job that runs now come to its end.")
]


def register(app: typer.Typer) -> None:
    for name, command in (
        ("batches", list_batches),
        ("batch", show_batch),
        ("close", close),
        ("cancel", cancel),
        ("rebatch", rebatch),
        ("revive", revive),
    ):
        app.command(name, rich_help_panel=USE, epilog=EXIT_CODES)(command)


def list_batches(
    status: Annotated[list[BatchStatus] | None, typer.Option(help="Repeatable.")] = None,
    device_type: Annotated[str | None, typer.Option(help="Only this device type.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag.")] = None,
    open: Annotated[bool | None, typer.Option(help="Only those that take more jobs.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """List batches, the newest first.

    Example: holdfast batches --status RUNNING --status PENDING
    """
    with connected(url, api_key) as client:
        found = client.batches(
            status=status or None,
            device_type=device_type,
            tag=tag,
            open=open,
            order="desc",
            page_size=min(limit, 100),
        )
        _print_batches(itertools.islice(found, limit), as_json)


def _print_batches(batches: Iterable[Batch], as_json: bool) -> None:
    if as_json:
        return print_json([batch.to_dict() for batch in batches])
    rows = [
        (
            batch.id,
            shown_status(batch.status),
            "open" if batch.open else "",
            progress_of(batch),
            batch.device or batch.device_type,
            batch.queue_position,
            batch.name,
            ago(batch.created_at),
        )
        for batch in batches
    ]
    columns = ("ID", "STATUS", "", "JOBS", "DEVICE", "QUEUE", "NAME", "CREATED")
    return print_table(columns, rows, "no batches")


def progress_of(batch: Batch) -> str:
    return f"{batch.jobs_total - batch.jobs_left}/{batch.jobs_total}"


def show_batch(
    batch: BatchId, as_json: AsJson = False, url: Url = None, api_key: ApiKey = None
) -> None:
    """Show one batch.

    Example: holdfast batch 0198c0de-1111-7000-8000-000000000001
    """
    with connected(url, api_key) as client:
        print_batch(client.attach(batch), as_json)


def print_batch(batch: Batch, as_json: bool) -> None:
    if as_json:
        return print_json(batch.to_dict())
    facts: dict[str, Any] = {"id": batch.id, "name": batch.name}
    facts["status"] = shown_status(batch.status) + ("  open" if batch.open else "")
    facts["reason"] = batch.reason
    facts["jobs"] = (
        f"{progress_of(batch)} over: {batch.jobs_done} done, {batch.jobs_failed} failed, "
        f"{batch.jobs_canceled} canceled"
    )
    facts["device type"], facts["device"] = batch.device_type, batch.device
    facts["lanes"] = batch.lanes if batch.lanes > 1 else None
    facts["place in queue"], facts["priority"] = batch.queue_position, batch.priority
    facts["tags"], facts["parent"] = ", ".join(batch.tags), batch.parent_id
    facts["created"], facts["started"] = batch.created_at, batch.started_at
    facts["ended"], facts["ran for"] = batch.ended_at, between(batch.started_at, batch.ended_at)
    facts["times out, if idle"] = batch.idle_deadline
    return print_details(facts)


def close(batch: BatchId, as_json: AsJson = False, url: Url = None, api_key: ApiKey = None) -> None:
    """Close an open batch: it takes no more jobs, and ends when those it has are over.

    Example: holdfast close 0198c0de-1111-7000-8000-000000000001
    """
    with connected(url, api_key) as client:
        print_batch(client.attach(batch).close(), as_json)


def cancel(
    batches: Annotated[list[str], typer.Argument(metavar="BATCH...", help="Ids of batches.")],
    leave_running: LeaveRunning = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Cancel batches. One that is over already is no error.

    Example: holdfast cancel 0198c0de-1111-7000-8000-000000000001
    """
    with connected(url, api_key) as client:
        verdicts = client.cancel_batches(batches, interrupt=not leave_running)
    if as_json:
        print_json([verdict.to_dict() for verdict in verdicts])
    else:
        rows = [(verdict.id, verdict.verdict) for verdict in verdicts]
        print_table(("ID", "VERDICT"), rows, "nothing to cancel")
    unknown = [verdict.id for verdict in verdicts if verdict.verdict == "not_found"]
    if unknown:
        fail(f"no batch {', '.join(unknown)}", NOT_FOUND)


def rebatch(
    batch: BatchId,
    status: Annotated[
        list[JobStatus] | None, typer.Option(help="Only jobs that ended so; repeatable.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The new batch's name.")] = None,
    open: Annotated[bool, typer.Option("--open", help="Let it take more jobs.")] = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Make a new batch from jobs of this one: from all, or from those that --status names.

    Example: holdfast rebatch 0198c0de-1111-7000-8000-000000000001 --status ERROR
    """
    with connected(url, api_key) as client:
        again = client.attach(batch)
        made = (
            again.rebatch(open=open, name=name, statuses=status)
            if status
            else again.rebatch(open=open, name=name)
        )
        print_batch(made, as_json)


def revive(
    batch: BatchId, as_json: AsJson = False, url: Url = None, api_key: ApiKey = None
) -> None:
    """Take up a batch that was canceled or broke: its unfinished jobs, under the same id.

    Example: holdfast revive 0198c0de-1111-7000-8000-000000000001
    """
    with connected(url, api_key) as client:
        print_batch(client.attach(batch).revive(), as_json)
