"""Estimates: when a batch will begin and end, and why it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from orchestrator.commands.batches import BatchId
from orchestrator.commands.connection import EXIT_CODES, USE, ApiKey, AsJson, Url, connected
from orchestrator.commands.display import print_details, print_json
from orchestrator.commands.display import status as shown_status

if TYPE_CHECKING:
    from holdfast import Estimate


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=USE, epilog=EXIT_CODES)(estimate)


def estimate(
    batch: BatchId, as_json: AsJson = False, url: Url = None, api_key: ApiKey = None
) -> None:
    """Say when a batch is expected to begin and to end, and why it waits.

    Example: holdfast estimate 0198c0de-1111-7000-8000-000000000001
    """
    with connected(url, api_key) as client:
        found = client.attach(batch).estimate()
    if as_json:
        return print_json(found.to_dict())
    return print_details(_facts(found))


def _facts(found: Estimate) -> dict[str, Any]:
    facts: dict[str, Any] = {"status": shown_status(found.status), "why": found.why}
    for name, span in (("begins", found.start), ("ends", found.end)):
        if span is not None and span.p50 == span.p90:
            facts[name] = span.p50
        elif span is not None:
            facts[f"{name}, as likely as not by"] = span.p50
            facts[f"{name}, nine times in ten by"] = span.p90
    if found.samples:
        facts["rests on"] = f"{found.samples} durations"
    if found.hit_rate is not None:
        p50, p90, of = (found.hit_rate[name] for name in ("p50", "p90", "of"))
        facts["came true"] = f"{p50:.0%} and {p90:.0%} of the last {of:.0f} starts"
    return facts
