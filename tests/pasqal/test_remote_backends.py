"""Pulser's remote backends, unmodified."""

from typing import Any

import pytest
from pasqal_cloud import PasqalCloudConnection, RemoteEmuFreeBackend, RemoteMPSBackend
from pasqal_cloud.errors import BatchCreationError
from pulser import QPUBackend
from pulser.backend import BitStrings, CorrelationMatrix, EmulationConfig
from pulser.backend.remote import BatchStatus, RemoteResults

from tests.pasqal.conftest import Dev, Key
from tests.pasqal.programs import fixed, for_qpu, mappable, parametrized


@pytest.fixture(scope="module")
def connection(dev: Dev) -> PasqalCloudConnection:
    return PasqalCloudConnection(
        token_provider=Key(dev.api_key), endpoints=dev.endpoints, project_id=dev.project_id
    )


def test_the_emulator_backend(connection: PasqalCloudConnection) -> None:
    results = RemoteEmuFreeBackend(fixed(), connection).run(wait=True)
    assert isinstance(results, RemoteResults)
    assert results.get_batch_status() is BatchStatus.DONE
    assert sum(results[0].final_bitstrings.values()) == 1000


def test_what_its_config_observes(connection: PasqalCloudConnection) -> None:
    config: Any = EmulationConfig(observables=[BitStrings(num_shots=300), CorrelationMatrix()])
    backend = RemoteEmuFreeBackend(parametrized(), connection, config=config)
    jobs: Any = [{"variables": {"omega_max": omega}} for omega in (1.0, 2.0)]
    results = backend.run(job_params=jobs, wait=True)
    assert [sum(result.final_bitstrings.values()) for result in results] == [300, 300]
    assert {len(result.correlation_matrix) for result in results} == {1}


def test_a_mappable_register(connection: PasqalCloudConnection) -> None:
    jobs: Any = [{"runs": 50, "variables": {"qubits": {"q0": 1, "q1": 5}}}]
    [result] = RemoteEmuFreeBackend(mappable(), connection).run(job_params=jobs, wait=True)
    assert {len(bits) for bits in result.final_bitstrings} == {2}


def test_an_open_batch_of_the_emulator(connection: PasqalCloudConnection) -> None:
    backend = RemoteEmuFreeBackend(parametrized(), connection)
    with backend.open_batch():
        first = backend.run(job_params=[{"runs": 20, "variables": {"omega_max": 1.0}}], wait=True)
        second = backend.run(job_params=[{"runs": 30, "variables": {"omega_max": 2.0}}], wait=True)
    assert first.batch_id == second.batch_id
    assert [sum(r.final_bitstrings.values()) for r in (first[0], second[0])] == [20, 30]
    assert second.get_batch_status() is BatchStatus.DONE


def test_the_qpu_backend(connection: PasqalCloudConnection) -> None:
    devices = connection.fetch_available_devices()
    sequence = for_qpu(devices["FRESNEL"])
    results = QPUBackend(sequence, connection).run(job_params=[{"runs": 40}], wait=True)
    assert sum(results[0].final_bitstrings.values()) == 40
    assert list(results.get_available_results()) == results.job_ids


def test_an_open_batch_of_the_qpu(connection: PasqalCloudConnection) -> None:
    backend = QPUBackend(for_qpu(connection.fetch_available_devices()["FRESNEL"]), connection)
    with backend.open_batch():
        for runs in (5, 6):
            results = backend.run(job_params=[{"runs": runs}], wait=True)
            assert sum(results[0].final_bitstrings.values()) == runs


def test_results_are_found_again_by_their_batch(connection: PasqalCloudConnection) -> None:
    made = RemoteEmuFreeBackend(fixed(), connection).run(job_params=[{"runs": 9}], wait=True)
    again = RemoteResults(made.batch_id, connection)
    assert again[0].final_bitstrings == made[0].final_bitstrings


def test_an_emulator_that_is_not_installed_is_refused(connection: PasqalCloudConnection) -> None:
    assert "EMU_MPS" not in connection.fetch_available_devices()
    with pytest.raises(BatchCreationError, match="EMU_MPS"):
        connection.cloud_client.create_batch(
            fixed().to_abstract_repr(), [{"runs": 1}], device_type=RemoteMPSBackend._device_type
        )
