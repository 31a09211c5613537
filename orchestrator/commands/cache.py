"""The cache of results, as an operator sees it."""

from __future__ import annotations

import typer

from orchestrator.commands.connection import EXIT_CODES, USE, ApiKey, Url, connected
from orchestrator.commands.jobs import JobId


def register(app: typer.Typer) -> None:
    cache = typer.Typer(no_args_is_help=True, help="Results that are given to whoever asks again.")
    cache.callback()(_of_a_project)
    cache.command(epilog=EXIT_CODES)(withdraw)
    app.add_typer(cache, name="cache", rich_help_panel=USE)


def _of_a_project() -> None:
    """Results that are given to whoever asks again."""


def withdraw(job: JobId, url: Url = None, api_key: ApiKey = None) -> None:
    """Give a job's result to nobody any more who asks for the same; it is computed anew.

    Needs a key with the scope `operate`. Whoever has the result keeps it.

    Example: holdfast cache withdraw 0198c0de-1111-7000-8000-000000000002
    """
    with connected(url, api_key) as client:
        client.job(job).withdraw()
    typer.echo("withdrawn")
