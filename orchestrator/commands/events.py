"""Events: what has happened, and what happens now."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.commands.connection import EXIT_CODES, USE, ApiKey, AsJson, Url, connected
from orchestrator.commands.display import ago, console, print_json, print_table, text
from orchestrator.commands.display import status as shown_status

if TYPE_CHECKING:
    from holdfast import Event


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=USE, epilog=EXIT_CODES)(events)


def events(
    batch: Annotated[
        str | None, typer.Argument(metavar="[BATCH]", help="Only of this one.")
    ] = None,
    after: Annotated[str | None, typer.Option(help="Only behind the event with this id.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="The last so many; all with --follow.")] = 100,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Show every change of state, oldest first. With --follow, --json prints one event a line.

    Example: holdfast events 0198c0de-1111-7000-8000-000000000001 --follow
    """
    with connected(url, api_key) as client:
        found = client.events(batch_id=batch, after=after, follow=follow)
        if follow:
            return _print_live(found, as_json)
        return _print(deque(found, maxlen=limit), as_json)


def _print(found: Iterable[Event], as_json: bool) -> None:
    if as_json:
        return print_json([event.to_dict() for event in found])
    rows = [
        (ago(event.at), event.kind, shown_status(event.status or ""), _subject(event), event.id)
        for event in found
    ]
    return print_table(("WHEN", "KIND", "STATUS", "OF", "ID"), rows, "no events")


def _print_live(found: Iterable[Event], as_json: bool) -> None:
    out = console()
    for event in found:
        if as_json:
            sys.stdout.write(json.dumps(event.to_dict()) + "\n")
            sys.stdout.flush()
        else:
            when = text(event.at.astimezone().strftime("%H:%M:%S"), "dim")
            out.print(when, text(event.kind), text(_subject(event)))


def _subject(event: Event) -> str:
    if event.job_id:
        return f"job {event.job_id}"
    return f"batch {event.batch_id}" if event.batch_id else f"device {event.device or ''}"
