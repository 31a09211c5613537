"""A certificate from real parts, by the command line, checked with nothing but the file."""

import json
import subprocess
from pathlib import Path

import pytest

from orchestrator.proof.certificate import check
from tests.e2e.stack import HOLDFAST, Stack, began, deeds
from tests.waiting import until


def holdfast(stack: Stack, *words: str) -> str:
    told = {"HOLDFAST_URL": stack.url, "HOLDFAST_API_KEY": stack.api_key}
    done = subprocess.run(
        [HOLDFAST, *words], env={**stack.env, **told}, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_batch_whose_worker_was_killed_is_certified_all_the_same(
    stack: Stack, device: str, log: Path, tmp_path: Path
) -> None:
    worker = next(reversed(stack.parts.values()))
    with stack.client() as client:
        kind = device.replace("dev-", "T")
        batches = [client.create_batch(kind, deeds(20, log)) for _ in range(3)]
        until(lambda: len(began(log)) > 25, 30)
        worker.restart()
        for batch in batches:
            assert batch.wait(timeout=60).status == "DONE"
    key = holdfast(stack, "certificate", "--key").strip()
    file = tmp_path / "alone.json"
    holdfast(stack, "certificate", batches[1].id, "--output", str(file))
    assert check(file.read_text(), key) == []
    held = json.loads(json.loads(file.read_text())["certificate"])["held"]
    assert batches[0].id in held[0]["before"] and batches[2].id in held[-1]["after"]
    kinds = [json.loads(line[65:])["kind"] for each in held for line in each["entries"]]
    assert "opened" in kinds and kinds.count("began") >= 20


def test_a_certificate_that_was_changed_on_its_way_is_refused(
    stack: Stack, device: str, log: Path
) -> None:
    with stack.client() as client:
        batch = client.create_batch(device.replace("dev-", "T"), deeds(3, log))
        signed = batch.certificate()
    assert check(json.dumps(signed)) == []
    signed["certificate"] = signed["certificate"].replace('"fence":1', '"fence":7')
    (finding,) = check(json.dumps(signed))
    assert "the signature" in finding


def test_the_key_is_written_to_a_file_with_which_a_certificate_is_checked(
    stack: Stack, device: str, log: Path, tmp_path: Path
) -> None:
    key, file = tmp_path / "holdfast.key", tmp_path / "alone.json"
    with stack.client() as client:
        batch = client.create_batch(device.replace("dev-", "T"), deeds(3, log))
        assert batch.wait(timeout=60).status == "DONE"
    assert holdfast(stack, "certificate", "--key", "--output", str(key)) == ""
    holdfast(stack, "certificate", batch.id, "--output", str(file))
    told = holdfast(stack, "verify", "--certificate", str(file), "--key", key.read_text())
    assert f"batch {batch.id}, DONE\n3 of 3 jobs witnessed on {device}" in told
    assert "the given one" in told


@pytest.mark.parametrize("words", [(), ("some-batch", "--key")])
def test_the_command_wants_a_batch_or_the_key(stack: Stack, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [HOLDFAST, "certificate", *words], env=stack.env, capture_output=True, timeout=30
    )
    assert done.returncode == 2
