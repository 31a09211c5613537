"""The built-in device types are what the installed Pulser and the executors say."""

import json

import pytest
from pulser.devices import AnalogDevice, MockDevice
from pulser.json.abstract_repr.deserializer import deserialize_device

from orchestrator.physics.builtin import MAX_QUBITS, Defaults, defaults
from tests.sequences import FRESNEL
from workers.executors.emu import MatrixProductExecutor, StateVectorExecutor
from workers.executors.pulser import PulserExecutor


@pytest.mark.parametrize("name", ["EMU_FREE", "EMU_SV", "EMU_MPS"])
def test_an_emulator_has_the_spec_of_pulsers_mock_device(name: str) -> None:
    assert json.loads(defaults(name, "pulser").spec or "") == json.loads(
        MockDevice.to_abstract_repr()
    )


def test_fresnel_is_the_analog_device_under_its_own_name() -> None:
    spec = defaults("FRESNEL", "pulser").spec or ""
    assert json.loads(spec) == json.loads(FRESNEL.to_abstract_repr())
    assert deserialize_device(spec) == FRESNEL


def test_fresnel_keeps_the_bound_on_runs_of_its_spec() -> None:
    assert defaults("FRESNEL", "scripted").max_runs == AnalogDevice.max_runs == 2000


def test_a_type_of_no_known_name_has_no_spec() -> None:
    assert defaults("LAB", "scripted") == Defaults()
    assert defaults("LAB", "pulser") == Defaults(max_qubits=14)


def test_the_api_refuses_as_many_atoms_as_the_executors_do() -> None:
    assert {
        "pulser": PulserExecutor.max_qubits,
        "emu_sv": StateVectorExecutor.max_qubits,
        "emu_mps": MatrixProductExecutor.max_qubits,
    } == MAX_QUBITS
