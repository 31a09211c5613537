"""Members of the project. All of it needs a key with the scope `admin`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated

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
from orchestrator.commands.display import print_json, print_table
from schemas.words import Role

if TYPE_CHECKING:
    from holdfast import Client

Username = Annotated[str, typer.Argument(help="The user's name.")]
AsWhat = Annotated[Role, typer.Option(help="What they may do.")]


def register(app: typer.Typer) -> None:
    members = typer.Typer(no_args_is_help=True, help="Who is in the project, and as what.")
    members.command("list", epilog=EXIT_CODES)(list_members)
    members.command(epilog=EXIT_CODES)(add)
    members.command(epilog=EXIT_CODES)(role)
    members.command(epilog=EXIT_CODES)(remove)
    app.add_typer(members, name="members", rich_help_panel=USE)


def list_members(as_json: AsJson = False, url: Url = None, api_key: ApiKey = None) -> None:
    """List the project's members and their roles.

    Example: holdfast members list
    """
    with connected(url, api_key) as client:
        found = client.members.all()
    if as_json:
        return print_json([each.to_dict() for each in found])
    rows = [(each.user_id, each.username, each.role) for each in found]
    return print_table(("ID", "NAME", "ROLE"), rows, "no members")


def add(
    username: Username,
    role: AsWhat = Role.MEMBER,
    new: Annotated[
        bool, typer.Option("--new", help="No user yet: a password is made, and printed once.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Let a user into the project.

    Example: holdfast members add ada --role operator --new
    """
    password = secrets.token_urlsafe(18) if new else None
    with connected(url, api_key) as client:
        added = client.members.add(username, role, password=password)
    if as_json:
        return print_json({**added.to_dict(), **({"password": password} if password else {})})
    typer.echo(f"{added.username} is {added.role}", err=new)
    if password:
        typer.echo("Keep the password: it is not shown again.", err=True)
        typer.echo(password)
    return None


def role(
    username: Username,
    role: Annotated[Role, typer.Argument(help="What they may do from now on.")],
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Change a member's role; every key of theirs does no more than that from now on.

    Example: holdfast members role ada reader
    """
    with connected(url, api_key) as client:
        changed = client.members.set_role(_id_of(client, username), role)
    if as_json:
        return print_json(changed.to_dict())
    return typer.echo(f"{changed.username} is {changed.role}")


def remove(
    username: Username, as_json: AsJson = False, url: Url = None, api_key: ApiKey = None
) -> None:
    """Take a member out of the project, and revoke their keys in it.

    Example: holdfast members remove ada
    """
    with connected(url, api_key) as client:
        user_id = _id_of(client, username)
        client.members.remove(user_id)
    gone = {"user_id": user_id, "removed": True}
    return print_json(gone) if as_json else typer.echo(f"removed {username}")


def _id_of(client: Client, username: str) -> str:
    for each in client.members.all():
        if each.username == username:
            return each.user_id
    fail(f"there is no member {username!r}", NOT_FOUND)
