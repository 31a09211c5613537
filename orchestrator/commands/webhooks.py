"""Webhooks: what was told, to whom, and what it was signed with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.commands.connection import EXIT_CODES, USE, ApiKey, AsJson, Url, connected
from orchestrator.commands.display import ago, duration, print_json, print_table, text
from orchestrator.commands.display import status as shown_status

if TYPE_CHECKING:
    from holdfast import Delivery, Endpoint


def register(app: typer.Typer) -> None:
    webhooks = typer.Typer(no_args_is_help=True, help="What webhooks were told, and where.")
    webhooks.command(epilog=EXIT_CODES)(log)
    webhooks.command("list", epilog=EXIT_CODES)(list_endpoints)
    webhooks.command(epilog=EXIT_CODES)(enable)
    webhooks.command(epilog=EXIT_CODES)(secret)
    app.add_typer(webhooks, name="webhooks", rich_help_panel=USE)


def log(
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id.")],
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Show what a batch's webhook was told, and how each message fared.

    Example: holdfast webhooks log 0198c0de-1111-7000-8000-000000000001
    """
    with connected(url, api_key) as client:
        found = list(client.deliveries(batch))
    if as_json:
        return print_json([each.to_dict() for each in found])
    rows = [
        (
            ago(each.at),
            each.type,
            each.job_id,
            shown_status(each.status),
            len(each.attempts),
            _last(each),
            _due(each.next_attempt_at),
        )
        for each in found
    ]
    columns = ("WHEN", "TYPE", "JOB", "STATUS", "TRIES", "LAST ANSWER", "NEXT")
    return print_table(columns, rows, "no messages: has the batch a webhook?")


def list_endpoints(as_json: AsJson = False, url: Url = None, api_key: ApiKey = None) -> None:
    """List the URLs that the project's webhooks go to, and whether they take their messages.

    Example: holdfast webhooks list
    """
    with connected(url, api_key) as client:
        _print(client.endpoints(), as_json)


def enable(
    endpoint: Annotated[str, typer.Argument(metavar="URL", help="As `webhooks list` shows it.")],
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Put a disabled URL back into service; what waited for it is sent.

    Example: holdfast webhooks enable https://example.org/hook
    """
    with connected(url, api_key) as client:
        _print([client.enable_endpoint(endpoint)], as_json)


def secret(
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make a new one; the old one counts for a day.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Print the secret that checks the messages. Needs a key with the scope `admin`.

    Example: holdfast webhooks secret
    """
    with connected(url, api_key) as client:
        found = client.signing_secret(rotate=rotate)
    return print_json(found.to_dict()) if as_json else typer.echo(found.secret)


def _last(delivery: Delivery) -> str | None:
    if not delivery.attempts:
        return None
    last = delivery.attempts[-1]
    return last["error"] or (str(last["http_status"]) if last["http_status"] else "under way")


def _due(at: datetime | None) -> str | None:
    if at is None:
        return None
    left_s = (at - datetime.now(UTC)).total_seconds()
    return f"in {duration(left_s)}" if left_s > 0 else "now"


def _print(endpoints: Iterable[Endpoint], as_json: bool) -> None:
    found = list(endpoints)
    if as_json:
        return print_json([each.to_dict() for each in found])
    rows = [(each.url, *_health(each)) for each in found]
    return print_table(("URL", "", "REASON"), rows, "no webhook was used yet")


def _health(endpoint: Endpoint) -> tuple[object, str | None]:
    if endpoint.disabled_reason:
        return text("disabled", "red"), endpoint.disabled_reason
    if endpoint.failing_since:
        return text("failing", "yellow"), f"since {ago(endpoint.failing_since)}"
    return text("in service", "green"), None
