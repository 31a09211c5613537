"""What `holdfast verify --certificate` says of a certificate."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from orchestrator.commands import verify as command
from orchestrator.proof.certificate import public_key
from tests.unit.test_certificate import KEY, OTHER_KEY, altered, certified, good

PUBLIC = public_key(KEY).public_key


def said(*words: str) -> Result:
    app = typer.Typer()
    command.register(app)
    return CliRunner().invoke(app, list(words))


def shown(folder: Path, signed: str, *words: str) -> Result:
    path = folder / "certificate.json"
    path.write_text(signed)
    return said("--certificate", str(path), *words)


def without_entries(inside: dict[str, Any]) -> None:
    inside["held"] = []
    inside["jobs"] |= {"done": 0, "canceled": 2}


def partly_witnessed(inside: dict[str, Any]) -> None:
    inside["unwitnessed"] = ["c", "d"]
    inside["jobs"] |= {"total": 4, "failed": 2}


def test_it_names_what_was_checked(tmp_path: Path) -> None:
    result = shown(tmp_path, certified(good().slice(4, 7)), "--key", PUBLIC)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "batch mine, DONE",
        "2 of 2 jobs witnessed on d1: there it was alone",
        f"signed with key {public_key(KEY).key_id}, the given one",
    ]


def test_programs_are_told_the_same(tmp_path: Path) -> None:
    document = json.loads(shown(tmp_path, certified(good().slice(4, 7)), "--json").stdout)
    assert document == {
        "clean": True,
        "against": [],
        "batch": "mine",
        "status": "DONE",
        "jobs": 2,
        "witnessed": 2,
        "devices": ["d1"],
        "unwitnessed": [],
        "key_id": public_key(KEY).key_id,
        "key_given": False,
    }


def test_without_a_key_it_says_whose_is_believed(tmp_path: Path) -> None:
    assert "give --key" in shown(tmp_path, certified(good().slice(4, 7))).output


def test_without_an_entry_nothing_is_claimed_of_a_device(tmp_path: Path) -> None:
    result = shown(tmp_path, altered(without_entries))
    assert (result.exit_code, "no job of it began" in result.output) == (0, True)
    assert "alone" not in result.output


def test_jobs_without_a_witness_are_counted_and_not_called_alone(tmp_path: Path) -> None:
    output = shown(tmp_path, altered(partly_witnessed)).output
    assert "2 of 4 jobs witnessed on d1" in output
    assert "2 jobs are not witnessed" in output


def test_without_any_witness_it_is_not_called_alone(tmp_path: Path) -> None:
    def unseen(inside: dict[str, Any]) -> None:
        without_entries(inside)
        inside["unwitnessed"] = ["a"]

    output = shown(tmp_path, altered(unseen)).output
    assert ("1 job is not witnessed" in output, "alone" in output) == (True, False)


def test_one_that_another_key_signed_is_violated_and_nothing_in_it_believed(
    tmp_path: Path,
) -> None:
    other = public_key(OTHER_KEY).public_key
    result = shown(tmp_path, certified(good().slice(4, 7)), "--key", other, "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["clean"], document["batch"]) == (1, False, None)


@pytest.mark.parametrize("key", ["no key", "AAAA", "", PUBLIC[:-4]])
def test_what_is_no_key_is_exit_code_2_and_says_how_to_give_one(tmp_path: Path, key: str) -> None:
    result = shown(tmp_path, certified(good().slice(4, 7)), "--key", key)
    assert (result.exit_code, '--key "$(cat FILE)"' in result.output) == (2, True)


@pytest.mark.parametrize("text", ["", "{}", "certificate", '{"batch": "mine"}'])
def test_a_file_that_is_no_certificate_is_exit_code_2(tmp_path: Path, text: str) -> None:
    result = shown(tmp_path, text)
    assert (result.exit_code, "is not a certificate" in result.output) == (2, True)


def test_a_file_that_cannot_be_read_is_exit_code_2(tmp_path: Path) -> None:
    result = said("--certificate", str(tmp_path / "none"))
    assert (result.exit_code, "cannot be read" in result.output) == (2, True)


@pytest.mark.parametrize(
    "words", [("--since", "1h"), ("--until", "1h"), ("--lag", "30"), ("--read-objects",)]
)
def test_a_certificate_has_no_range(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = shown(tmp_path, certified(good().slice(4, 7)), *words)
    assert (result.exit_code, "--certificate" in result.output) == (2, True)
