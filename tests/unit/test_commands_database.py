"""Which database the operator's own commands speak to."""

import json
from pathlib import Path

import pytest
import typer

from orchestrator.commands.database import settings

HERE = "postgresql://holdfast:secret@127.0.0.1:5432/holdfast"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("HOLDFAST_DATABASE_URL", "HOLDFAST_STORE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def ready(folder: Path) -> None:
    (folder / ".holdfast").mkdir()
    (folder / ".holdfast/ready.json").write_text(json.dumps({"database_url": HERE}))


def test_without_an_address_it_is_that_of_the_stack_that_runs_here(folder: Path) -> None:
    ready(folder)
    found = settings()
    assert found.database_url.endswith("holdfast:secret@127.0.0.1:5432/holdfast")
    assert found.store_url == (folder / ".holdfast/objects").as_uri()


def test_what_is_set_goes_before_what_runs_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(folder)
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", "postgresql://elsewhere/other")
    assert settings().database_url.endswith("elsewhere/other")


def test_where_nothing_runs_the_address_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        settings()
    assert "HOLDFAST_DATABASE_URL is missing" in capsys.readouterr().err
