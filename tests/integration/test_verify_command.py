"""`holdfast verify` as an operator calls it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from orchestrator.commands import verify as command
from orchestrator.services.core import Core
from tests.integration.proven import Proven
from tests.integration.puppet import new_batch


@pytest.fixture
def past(core: Core, tmp_path: Path) -> Iterator[Proven]:
    made = Proven.lived(core, tmp_path / "journals")
    yield made
    made.device.journal.close()


@pytest.fixture
def environment(core: Core, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    given = core.settings
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", given.database_url)
    monkeypatch.setenv("HOLDFAST_BROKER_URL", given.broker_url)
    monkeypatch.setenv("HOLDFAST_STORE_URL", given.store_url)
    return monkeypatch


def said(*words: str) -> Result:
    app = typer.Typer()
    command.register(app)
    return CliRunner().invoke(app, list(words))


def test_a_clean_past_is_a_table_and_exit_code_0(
    past: Proven, environment: pytest.MonkeyPatch
) -> None:
    result = said()
    assert result.exit_code == 0, result.output
    assert "jobs begin in order" in result.output
    assert "nothing is violated" in result.output


def test_a_violation_is_named_and_exit_code_1(
    past: Proven, environment: pytest.MonkeyPatch
) -> None:
    past.change("UPDATE batch SET jobs_total = 4, jobs_done = 4 WHERE id = :b", b=past.done[0])
    result = said()
    assert result.exit_code == 1
    assert f"violated 4: batches count their jobs: batch {past.done[0]}" in result.output
    assert "1 of" in result.output.splitlines()[-1]


def test_programs_get_one_document(past: Proven, environment: pytest.MonkeyPatch) -> None:
    past.change("DELETE FROM result")
    result = said("--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert document["clean"] is False
    assert {found["invariant"] for found in document["violations"]} == {5}
    assert document["counts"]["jobs"] == 12


def test_offending_rows_are_named_up_to_twenty_and_all_counted(
    core: Core, past: Proven, environment: pytest.MonkeyPatch
) -> None:
    new_batch(core, 29)
    past.change("UPDATE job SET status = 'RUNNING' WHERE status = 'PENDING'")
    document = json.loads(said("--json").stdout)
    (line,) = [line for line in document["lines"] if line["what"] == "no job is astray"]
    shown = [each for each in document["violations"] if each["what"] == "no job is astray"]
    assert (line["found"], len(shown)) == (30, 20)


def test_a_range_is_given_as_a_moment_or_as_how_long_ago(
    past: Proven, environment: pytest.MonkeyPatch
) -> None:
    for since in ("1h", "2026-01-01T00:00:00Z"):
        assert json.loads(said("--json", "--since", since).stdout)["counts"]["batches"] == 5
    assert json.loads(said("--json", "--until", "1h").stdout)["counts"]["batches"] == 0


@pytest.mark.parametrize(
    "words", [("--since", "yesterday"), ("--until", "3 h"), ("--lag", "-1"), ("--key", "abc")]
)
def test_what_cannot_be_meant_is_exit_code_2(
    words: tuple[str, ...], environment: pytest.MonkeyPatch
) -> None:
    result = said(*words)
    assert result.exit_code == 2
    assert words[0] in result.output


def test_settings_that_are_missing_are_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDFAST_DATABASE_URL", raising=False)
    result = said()
    assert (result.exit_code, "HOLDFAST_DATABASE_URL" in result.output) == (2, True)


def test_a_database_that_is_away_is_exit_code_3(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HOLDFAST_DATABASE_URL", "postgresql://nobody:x@127.0.0.1:1/none")
    result = said()
    assert (result.exit_code, "could not look" in result.output) == (3, True)


def test_an_object_store_that_is_away_is_exit_code_3(
    past: Proven, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HOLDFAST_STORE_URL", "s3://bucket")
    environment.setenv("HOLDFAST_S3_ENDPOINT", "http://127.0.0.1:1")
    environment.setenv("HOLDFAST_S3_ACCESS_KEY", "x")
    environment.setenv("HOLDFAST_S3_SECRET_KEY", "x")
    result = said()
    assert (result.exit_code, "could not look" in result.output) == (3, True)
