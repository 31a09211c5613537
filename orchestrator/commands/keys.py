"""API keys. All but making runner keys needs a key with the scope `admin`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

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
from orchestrator.commands.display import ago, print_json, print_table, text
from schemas.words import KeyKind, Scope

if TYPE_CHECKING:
    from holdfast import Key
    from rich.text import Text


def register(app: typer.Typer) -> None:
    keys = typer.Typer(no_args_is_help=True, help="Make, list, revoke and delete API keys.")
    keys.command("list", epilog=EXIT_CODES)(list_keys)
    keys.command(epilog=EXIT_CODES)(create)
    keys.command(epilog=EXIT_CODES)(revoke)
    keys.command(epilog=EXIT_CODES)(delete)
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
            key.prefix,
            key.kind if key.kind == "runner" else ", ".join(key.scopes),
            ago(key.created_at),
            ago(key.last_used_at),
            _state(key),
        )
        for key in keys
    ]
    titles = ("ID", "NAME", "KEY", "MAY", "CREATED", "USED", "")
    return print_table(titles, rows, "no keys")


def _state(key: Key) -> Text:
    if key.revoked_at:
        return text("revoked", "red")
    if key.expires_at and key.expires_at <= datetime.now(UTC):
        return text("expired", "red")
    return text("valid", "green")


def create(
    name: Annotated[str, typer.Argument(help="Who or what it is for.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeatable.")] = [],  # noqa: B006
    kind: Annotated[
        KeyKind, typer.Option(help="runner: it registers controllers, and does nothing else.")
    ] = KeyKind.WORKSPACE,
    expires: Annotated[
        datetime | None, typer.Option(help="When it stops being good, in local time.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Make a key, and print it this one time.

    Example: holdfast keys create ci --scope read --scope submit --expires 2027-01-31
    """
    with connected(url, api_key) as client:
        made = client.create_key(name, scope, kind=kind, expires_at=expires)
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


def delete(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, from `keys list`.")],
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Delete a key that was revoked: it is not listed any more.

    Example: holdfast keys delete 0198c0de-1111-7000-8000-000000000003
    """
    with connected(url, api_key) as client:
        listed = client.keys()
        if any(each.id == key and each.revoked_at is None for each in listed):
            fail("this key is not revoked: only revoked keys can be deleted", REFUSED)
        client.delete_key(key)
    return print_json({"id": key, "deleted": True}) if as_json else typer.echo(f"deleted {key}")
