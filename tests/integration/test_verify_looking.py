"""What `holdfast verify` needs in order to look, and what it says that it looked at."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.commands import display
from orchestrator.config import Settings
from orchestrator.services.core import Core
from orchestrator.store import migrations
from tests.integration.overtaking import Sql
from tests.integration.own_database import own_database
from tests.integration.proven import Proven
from tests.integration.remote_stack import controller
from tests.integration.test_verify_command import said


@pytest.fixture
def past(core: Core, tmp_path: Path) -> Iterator[Proven]:
    made = Proven.lived(core, tmp_path / "journals")
    yield made
    made.device.journal.close()


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("HOLDFAST_STORE_URL", settings.store_url)
    monkeypatch.delenv("HOLDFAST_BROKER_URL", raising=False)
    return monkeypatch


def folder(settings: Settings) -> Path:
    return Path(settings.store_url.removeprefix("file://"))


@pytest.mark.parametrize("revision", ["base", "0005"])
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_database_that_is_not_migrated_is_exit_code_3_with_the_fix(
    settings: Settings,
    sql: Sql,
    environment: pytest.MonkeyPatch,
    revision: str,
    words: tuple[str, ...],
) -> None:
    with own_database(settings, sql) as (core, _):
        url = core.settings.database_url
        migrations.downgrade(url, revision)
        environment.setenv("HOLDFAST_DATABASE_URL", url)
        result = said(*words)
    fix = "the database is not migrated: run `holdfast migrate`"
    assert (result.exit_code, fix in result.output) == (3, True), result.output


def test_tables_of_a_newer_version_are_exit_code_3(
    settings: Settings, sql: Sql, environment: pytest.MonkeyPatch
) -> None:
    with own_database(settings, sql) as (core, own):
        own.execute("UPDATE alembic_version SET version_num = '9999'")
        environment.setenv("HOLDFAST_DATABASE_URL", core.settings.database_url)
        result = said()
    assert (result.exit_code, "does not know" in result.output) == (3, True), result.output


def test_a_folder_that_is_missing_is_exit_code_3_and_not_made(
    past: Proven, environment: pytest.MonkeyPatch
) -> None:
    store = folder(past.core.settings)
    shutil.rmtree(store)
    result = said()
    assert (result.exit_code, "HOLDFAST_STORE_URL" in result.output) == (3, True), result.output
    assert not store.exists()


def test_where_only_users_own_controllers_ran_no_folder_is_needed_and_none_is_made(
    core: Core, environment: pytest.MonkeyPatch
) -> None:
    store = folder(core.settings)
    shutil.rmtree(store)
    with controller(core) as one:
        one.submit()
        one.complete(one.begin())
    result = said()
    assert (result.exit_code, "no witness" in result.output) == (0, True), result.output
    assert not store.exists()


def test_a_file_instead_of_a_folder_is_exit_code_3(
    core: Core, environment: pytest.MonkeyPatch
) -> None:
    store = folder(core.settings)
    store.rmdir()
    store.touch()
    result = said("--json")
    assert (result.exit_code, "HOLDFAST_STORE_URL" in result.output) == (3, True), result.output


def test_an_object_store_that_is_away_is_named_by_its_setting_without_its_secrets(
    core: Core, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HOLDFAST_STORE_URL", "s3://who:hidden@bucket")
    environment.setenv("HOLDFAST_S3_ENDPOINT", "http://127.0.0.1:1")
    environment.setenv("HOLDFAST_S3_ACCESS_KEY", "x")
    environment.setenv("HOLDFAST_S3_SECRET_KEY", "hidden")
    result = said()
    assert (result.exit_code, "HOLDFAST_STORE_URL" in result.output) == (3, True), result.output
    assert "hidden" not in result.output


def test_results_without_a_single_log_are_a_warning(
    past: Proven, environment: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(folder(past.core.settings) / "witness")
    result = said()
    assert result.exit_code == 0
    assert "there are results and not one log" in result.output
    assert "nothing is violated, 1 warning; all batches;" in result.output.splitlines()[-1]


@pytest.mark.parametrize("broker", ["", "no-address"])
def test_the_broker_need_not_be_known(
    core: Core, environment: pytest.MonkeyPatch, broker: str
) -> None:
    environment.setenv("HOLDFAST_BROKER_URL", broker)
    assert said().exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--since", "1h", "--until", "2h"),
        ("--since", "2100-01-01T00:00:00Z"),
        ("--since", "2100-01-01T00:00:00Z", "--until", "2101-01-01T00:00:00Z"),
        ("--since", "999999d"),
    ],
)
def test_a_range_that_holds_nothing_is_exit_code_2(
    environment: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    result = said(*words)
    assert (result.exit_code, "--since" in result.output) == (2, True)


def test_the_range_is_told_to_people_and_programs(
    core: Core, environment: pytest.MonkeyPatch
) -> None:
    words = "--since", "2026-01-01T00:00:00Z", "--until", "2026-01-02T01:00:00+01:00"
    last = said(*words).output.splitlines()[-1]
    assert "batches alive from 2026-01-01 00:00:00 UTC to 2026-01-02 00:00:00 UTC" in last
    document = json.loads(said("--json", *words).stdout)
    assert document["since"] == "2026-01-01T00:00:00+00:00"
    assert document["until"] == "2026-01-02T00:00:00+00:00"


def test_each_check_is_one_line_of_80_columns(core: Core, environment: pytest.MonkeyPatch) -> None:
    environment.setattr(display, "PIPED_WIDTH", 80)
    report = json.loads(said("--json").stdout)
    lines = said().output.splitlines()
    assert len(lines) == 1 + len(report["lines"]) + 1
