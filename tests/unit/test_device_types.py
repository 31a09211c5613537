"""The operator's file of device types."""

from pathlib import Path

import pytest
from pulser.devices import MockDevice

from orchestrator.config import BadSettings
from orchestrator.device_types import load
from tests.sequences import FRESNEL


def file(folder: Path, text: str) -> str:
    path = folder / "devices.toml"
    path.write_text(text)
    return str(path)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(BadSettings) as refused:
        load(file(folder, text))
    return refused.value.problems


def test_no_file_defines_no_types() -> None:
    assert load("") == []


def test_a_spec_lies_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "lab.json").write_text(FRESNEL.to_abstract_repr())
    text = '[[device_type]]\nname = "FRESNEL"\nexecutor = "pulser"\nspec = "lab.json"\n'
    (made,) = load(file(tmp_path, text + "max_qubits = 5"))
    assert made.spec == FRESNEL.to_abstract_repr()
    assert (made.max_runs, made.max_qubits, made.public) == (2000, 5, False)


def test_a_spec_may_stand_in_the_file_itself(tmp_path: Path) -> None:
    text = (
        '[[device_type]]\nname = "SIM"\nexecutor = "pulser"\npublic = true\n'
        f"spec = '''{MockDevice.to_abstract_repr()}'''"
    )
    (made,) = load(file(tmp_path, text))
    assert (made.name, made.public, made.max_qubits) == ("SIM", True, 14)


def test_a_processor_is_called_as_sequences_call_it(tmp_path: Path) -> None:
    text = (
        '[[device_type]]\nname = "LAB"\nexecutor = "pulser"\n'
        f"spec = '''{FRESNEL.to_abstract_repr()}'''"
    )
    (said,) = problems(tmp_path, text)
    assert "device_type 1 (LAB): spec: describes the processor 'FRESNEL'" in said


def test_a_rate_is_the_files_or_its_executors(tmp_path: Path) -> None:
    text = """
    [[device_type]]
    name = "A"
    executor = "xtb"
    [[device_type]]
    name = "B"
    executor = "xtb"
    rate = 0
    [[device_type]]
    name = "C"
    executor = "scripted"
    rate = 7
    cores = 16
    """
    made = load(file(tmp_path, text))
    assert [(each.rate, each.cores) for each in made] == [(1000, 1), (0, 1), (7, 16)]


@pytest.mark.parametrize("said", ["rate = -1", "rate = 1000000001", "cores = 0", "cores = 1025"])
def test_a_price_out_of_range_is_refused(tmp_path: Path, said: str) -> None:
    text = f'[[device_type]]\nname = "A"\nexecutor = "xtb"\n{said}\n'
    (problem,) = problems(tmp_path, text)
    assert "must be a whole number" in problem


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = """
    [[device_type]]
    name = "A"
    executor = "pulser"
    spec = "nowhere.json"
    [[device_type]]
    name = "A"
    max_runs = 0
    public = "yes"
    qubits = 3
    [[device_type]]
    name = "C"
    executor = "pulser"
    spec = '{"name": "C", "is_virtual": true}'
    """
    said = "\n".join(problems(tmp_path, text))
    for part in (
        "(A): spec: [Errno 2] No such file",
        "(A): executor is missing",
        "max_runs must be a whole number of at least 1, not 0",
        "public must be true or false, not 'yes'",
        "qubits is unknown; there are name",
        "(C): spec: Pulser cannot read it",
        "the type A is defined twice",
    ):
        assert part in said


@pytest.mark.parametrize("text", ["nonsense", "device_type = 3", ""])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    assert len(problems(tmp_path, text)) == 1


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="cannot be read"):
        load(str(tmp_path / "none.toml"))
