"""Watch: what happens to a batch, as it happens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from orchestrator.commands.batches import BatchId, print_batch, progress_of
from orchestrator.commands.connection import (
    EXIT_CODES,
    NOT_DONE,
    USE,
    ApiKey,
    AsJson,
    Url,
    connected,
)
from orchestrator.commands.display import STYLES, console, print_table

if TYPE_CHECKING:
    from holdfast import Batch

SHOWN_FAILURES: Final = 10
Timeout = Annotated[
    float | None, typer.Option(min=0, help="Seconds to wait at most; then exit code 1.")
]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=USE, epilog=EXIT_CODES)(watch)


def watch(
    batch: BatchId,
    timeout: Timeout = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Follow a batch live until it is over; Ctrl-C stops the watching, not the batch.

    An open batch is over when it is closed, or times out idle.

    Example: holdfast watch 0198c0de-1111-7000-8000-000000000001
    """
    with connected(url, api_key) as client:
        see_out(client.attach(batch), timeout, as_json)


def see_out(batch: Batch, timeout: float | None, as_json: bool) -> NoReturn:
    """Show progress, then the end; the exit code says whether it was DONE."""
    with _progress() as progress:
        batch.wait(timeout=timeout, progress=progress)
    print_batch(batch, as_json)
    if not as_json and batch.jobs_failed:
        failed = batch.jobs("ERROR")[:SHOWN_FAILURES]
        rows = [(job.ordinal, job.id, job.reason) for job in failed]
        print_table(("JOB", "ID", "REASON"), rows, "")
    raise typer.Exit(0 if batch.status == "DONE" else NOT_DONE)


@contextmanager
def _progress() -> Iterator[Callable[[Batch], None]]:
    """On stderr: a live bar on a terminal, elsewhere a line for each change of status."""
    out = console(sys.stderr)
    if not out.is_terminal:
        yield _lines()
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=out,
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=None)

        def show(batch: Batch) -> None:
            bar.update(
                task,
                description=_headline(batch),
                total=batch.jobs_total or None,
                completed=batch.jobs_total - batch.jobs_left,
            )

        yield show


def _headline(batch: Batch) -> str:
    style = STYLES.get(batch.status, "default")
    place = f" (place {batch.queue_position})" if batch.queue_position else ""
    return f"[{style}]{batch.status}[/]{place}"


def _lines() -> Callable[[Batch], None]:
    last = ""

    def show(batch: Batch) -> None:
        nonlocal last
        if batch.status != last:
            last = batch.status
            typer.echo(f"{batch.status} {progress_of(batch)}", err=True)

    return show
