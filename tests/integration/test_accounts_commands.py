"""`holdfast keys` and `holdfast members`, against the real API."""

import json
from collections.abc import Callable, Iterator

import pytest
import typer
from typer.testing import CliRunner, Result

from orchestrator import bootstrap
from orchestrator.commands import keys, members
from orchestrator.services.core import Core
from tests.integration.api_stack import Api, serving

Run = Callable[..., Result]


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    first = bootstrap.prepare(core.settings.database_url, [], username="owner")
    with serving(core, first.api_key) as api:
        yield api


@pytest.fixture
def run(api: Api, monkeypatch: pytest.MonkeyPatch) -> Run:
    app = typer.Typer(pretty_exceptions_enable=False)
    keys.register(app)
    members.register(app)
    monkeypatch.setenv("HOLDFAST_URL", api.url)
    monkeypatch.setenv("HOLDFAST_API_KEY", api.key)
    return lambda *words: CliRunner().invoke(app, words)


def test_a_member_comes_changes_and_goes(run: Run) -> None:
    added = run("members", "add", "ada", "--role", "operator", "--new")
    assert (added.exit_code, len(added.stdout.strip())) == (0, 24), added.output
    assert run("members", "role", "ada", "reader").stdout == "ada is reader\n"
    listed = json.loads(run("members", "list", "--json").stdout)
    assert [(each["username"], each["role"]) for each in listed] == [
        ("ada", "reader"),
        ("owner", "owner"),
    ]
    assert run("members", "remove", "ada").exit_code == 0
    assert run("members", "remove", "ada").exit_code == 4
    assert "ada" not in run("members", "list").stdout


def test_the_last_owner_is_told_why_they_stay(run: Run) -> None:
    refused = run("members", "remove", "owner")
    assert refused.exit_code == 1
    assert "last owner" in refused.stderr


def test_a_key_is_made_for_a_machine_revoked_and_deleted(run: Run) -> None:
    made = run("keys", "create", "lab", "--kind", "runner", "--expires", "2099-01-31")
    assert made.stdout.startswith("rn_"), made.output
    key = next(
        each for each in json.loads(run("keys", "list", "--json").stdout) if each["name"] == "lab"
    )
    assert (key["kind"], key["scopes"], key["expires_at"][:4]) == ("runner", [], "2099")
    refused = run("keys", "delete", key["id"])
    assert (refused.exit_code, "not revoked" in refused.stderr) == (1, True)
    assert run("keys", "revoke", key["id"]).exit_code == 0
    assert run("keys", "delete", key["id"]).exit_code == 0
    assert key["id"] not in run("keys", "list", "--json").stdout
