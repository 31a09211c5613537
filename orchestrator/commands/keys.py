"""API keys. All of it needs a key with the scope `admin`."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.commands.connection import EXIT_CODES, USE, ApiKey, AsJson, Url, connected
from orchestrator.commands.display import ago, print_json, print_table, text
from schemas.words import Scope


def register(app: typer.Typer) -> None:
    keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")
    keys.command("list", epilog=EXIT_CODES)(list_keys)
    keys.command(epilog=EXIT_CODES)(create)
    keys.command(epilog=EXIT_CODES)(revoke)
    app.add_typer(keys, name="keys", rich_help_panel=USE)


def list_keys(as_json: AsJson = False, url: Url = None, api_key: ApiKey = None) -> None:
    """List the project's keys; a key itself is never shown again.

    Example: holdfast keys list
    """
    with connected(url, api_key) as client:
        keys = client.keys()
    if as_json:
        return print_json([key.to_dict() for key in keys])
    rows = [
        (
            key.id,
            key.name,
            f"{key.prefix}…",
            ", ".join(key.scopes),
            ago(key.created_at),
            text("revoked", "red") if key.revoked_at else text("valid", "green"),
        )
        for key in keys
    ]
    return print_table(("ID", "NAME", "KEY", "SCOPES", "CREATED", ""), rows, "no keys")


def create(
    name: Annotated[str, typer.Argument(help="Who or what it is for.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeatable.")],
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Make a key, and print it this one time.

    Example: holdfast keys create ci --scope read --scope submit
    """
    with connected(url, api_key) as client:
        made = client.create_key(name, scope)
    if as_json:
        return print_json(made.to_dict())
    typer.echo("Keep it: it is not shown again.", err=True)
    return typer.echo(made.key)


def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, from `keys list`.")],
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Revoke a key: whoever uses it is refused from now on.

    Example: holdfast keys revoke 0198c0de-1111-7000-8000-000000000003
    """
    with connected(url, api_key) as client:
        client.revoke_key(key)
    return print_json({"id": key, "revoked": True}) if as_json else typer.echo(f"revoked {key}")
