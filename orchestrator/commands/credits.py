"""Credits: given by the operator, in the database itself; there is no call for it over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from orchestrator.commands.connection import NOT_FOUND, USAGE, AsJson, fail
from orchestrator.commands.database import settings
from orchestrator.commands.display import print_json, print_table
from orchestrator.domain.credit import CREDIT
from orchestrator.errors import Unavailable

if TYPE_CHECKING:
    from orchestrator.store.transaction import Transaction
    from orchestrator.store.usage import Funds

DIFFERS, AWAY = 1, 3
MOST: Final = 10**9
EXIT_CODES: Final = (
    "Exit codes: 0 ok, 1 the ledger is wrong or the key was used, 2 wrong usage, "
    "3 the database could not be read, 4 no such project."
)


def register(app: typer.Typer) -> None:
    credits = typer.Typer(no_args_is_help=True, help="Give, list and check projects' credits.")
    credits.command(epilog=EXIT_CODES)(grant)
    credits.command("list", epilog=EXIT_CODES)(list_credits)
    credits.command(epilog=EXIT_CODES)(audit)
    app.add_typer(credits, name="credits", rich_help_panel="Parts of a deployment")


def grant(
    project: Annotated[str, typer.Argument(help="Its name or id.")],
    amount: Annotated[str, typer.Argument(help="Credits: 100, or 0.25.")],
    reason: Annotated[str | None, typer.Option(help="Shown to the project.")] = None,
    key: Annotated[
        str | None, typer.Option(help="A grant under the same key is given once.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give credits to a project.

    Example: holdfast credits grant default 500 --reason "May" --key may-2026
    """
    from orchestrator.store import ledger
    from orchestrator.store.jobs import new_id

    given = _micro(amount)
    with _database() as tx:
        found = _project(tx, project)
        name = f"{found.project_id}:{key or new_id()}"
        granted = ledger.grant(tx, found.project_id, given, name, reason)
        if granted != given:
            fail(f"the key {key!r} has given {_credits(granted)} credits before", DIFFERS)
        funds = _project(tx, project)
    if as_json:
        return print_json(_as_dict(funds))
    return typer.echo(f"{funds.name} has {_credits(funds.available)} credits")


def list_credits(as_json: AsJson = False) -> None:
    """What every project has, what is held of it, what it has spent.

    Example: holdfast credits list
    """
    from orchestrator.store import usage

    with _database() as tx:
        funds = usage.all_funds(tx.connection)
    if as_json:
        return print_json([_as_dict(each) for each in funds])
    rows = [
        (each.name, _credits(each.available), _credits(each.held), _credits(each.spent))
        for each in funds
    ]
    return print_table(("PROJECT", "AVAILABLE", "HELD", "SPENT"), rows, "no projects")


def audit(as_json: AsJson = False) -> NoReturn:
    """Check the ledger: that it sums to zero, and that every job was held and paid for once.

    Example: holdfast credits audit
    """
    from orchestrator.store.audit import Range, snapshot
    from orchestrator.store.audit_money import MONEY

    try:
        with snapshot(settings().database_url, Range()) as database:
            found = [(each, database.ask(each)) for each in MONEY]
    except Unavailable as error:
        fail(str(error), AWAY)
    if as_json:
        print_json({each.what: offences.total for each, offences in found})
    else:
        rows = [(each.what, f"{offences.total:,}") for each, offences in found]
        print_table(("WHAT", "FOUND"), rows, "nothing was looked at")
        for each, offences in found:
            for row in offences.rows:
                named = ", ".join(f"{name} {value}" for name, value in row.items())
                typer.echo(f"{each.what}: {named}")
    bad = any(offences.total for each, offences in found if each.grave)
    raise typer.Exit(DIFFERS if bad else 0)


@contextmanager
def _database() -> Iterator[Transaction]:
    from orchestrator.store.transaction import connect, transaction

    engine = connect(settings().database_url, pool_size=1)
    try:
        with transaction(engine) as tx:
            yield tx
    except Unavailable as error:
        fail(str(error), AWAY)
    finally:
        engine.dispose()


def _project(tx: Transaction, named: str) -> Funds:
    from orchestrator.store import usage

    known = usage.all_funds(tx.connection)
    found = next((each for each in known if named in (each.name, str(each.project_id))), None)
    if found is None:
        fail(
            f"there is no project {named!r}; there are {', '.join(each.name for each in known)}",
            NOT_FOUND,
        )
    return found


def _micro(amount: str) -> int:
    try:
        micro = Decimal(amount) * CREDIT
    except InvalidOperation:
        micro = Decimal("NaN")
    if not (micro.is_finite() and micro == micro.to_integral() and 0 < micro <= MOST * CREDIT):
        fail(
            f"AMOUNT must be a number of credits, above 0 and at most {MOST}, with at most six"
            f" digits after the point, got {amount!r}",
            USAGE,
        )
    return int(micro)


def _credits(micro: int) -> str:
    return f"{Decimal(micro) / CREDIT:,f}"


def _as_dict(funds: Funds) -> dict[str, object]:
    return {**funds._asdict(), "project_id": str(funds.project_id), "unit": "micro-credits"}
