"""`holdfast credits` as an operator calls it."""

import json

import pytest
import typer
from sqlalchemy import text
from typer.testing import CliRunner, Result

from orchestrator import bootstrap
from orchestrator.commands import credits
from orchestrator.services.core import Core
from tests.integration.money import HOUR, balances, grant, priced
from tests.integration.puppet import OTHER_PROJECT, PROJECT, new_batch


@pytest.fixture(autouse=True)
def environment(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", core.settings.database_url)
    monkeypatch.delenv("HOLDFAST_BROKER_URL", raising=False)


def said(*words: str) -> Result:
    app = typer.Typer()
    credits.register(app)
    return CliRunner().invoke(app, ["credits", *words])


def test_a_grant_is_there_at_once_and_under_its_key_once(core: Core) -> None:
    for _ in range(2):
        result = said("grant", str(PROJECT), "12.5", "--key", "may")
        assert result.exit_code == 0, result.output
    assert "has 12.5 credits" in result.output
    assert balances(core) == (12_500_000, 0, 0)
    assert said("grant", str(OTHER_PROJECT), "1", "--key", "may").exit_code == 0
    assert balances(core, OTHER_PROJECT)[0] == 1_000_000


@pytest.mark.parametrize("amount", ["0", "-1", "x", "nan", "inf", "1e10", "0.0000001"])
def test_what_is_no_amount_is_wrong_usage(core: Core, amount: str) -> None:
    result = said("grant", str(PROJECT), "--", amount)
    assert result.exit_code == 2
    assert "AMOUNT must be" in result.output


def test_a_project_that_is_not_there_is_told_with_those_that_are(core: Core) -> None:
    result = said("grant", "nobody", "1")
    assert result.exit_code == 4
    assert str(PROJECT) in result.output


def test_every_project_is_listed(core: Core) -> None:
    priced(core)
    grant(core, 10 * HOUR)
    new_batch(core, 3)
    found = {each["project_id"]: each for each in json.loads(said("list", "--json").output)}
    mine, other = found[str(PROJECT)], found[str(OTHER_PROJECT)]
    assert (mine["available"], mine["held"], other["available"]) == (7 * HOUR, 3 * HOUR, 0)
    assert "0.0252" in said("list").output


def test_the_audit_fails_when_the_ledger_is_wrong(core: Core) -> None:
    grant(core, 100)
    assert said("audit").exit_code == 0
    with core.transaction() as tx:
        tx.connection.execute(text("UPDATE account SET balance = 99 WHERE kind = 'available'"))
    result = said("audit")
    assert result.exit_code == 1
    assert "balances are their transfers: account" in result.output
    assert json.loads(said("audit", "--json").output)["the ledger sums to zero"] == 1


def test_the_first_project_is_given_its_credits_once(core: Core) -> None:
    url = core.settings.database_url
    made = [bootstrap.prepare(url, [], project="first", credits=5) for _ in range(2)]
    found = {each["name"]: each for each in json.loads(said("list", "--json").output)}
    assert {each.project_id for each in made} == {found["first"]["project_id"]}
    assert found["first"]["available"] == 5_000_000
