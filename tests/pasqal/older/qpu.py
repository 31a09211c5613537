"""Pulser's backend for a QPU, over pulser-pasqal 0.24.0 with a token."""

# mypy: ignore-errors

from pulser.backend import BackendConfig, QPUBackend
from pulser_pasqal import PasqalCloud
from sequences import laid_out, mappable, parametrized, pulsed
from service import tell, until_over, with_token

connection = PasqalCloud(**with_token())
devices = connection.fetch_available_devices()
fresnel = devices["FRESNEL"]


def shots_of(remote):
    return [sum(each.final_bitstrings.values()) for each in remote.results]


def a_sequence():
    remote = QPUBackend(pulsed(laid_out(), fresnel), connection).run([{"runs": 300}], wait=True)
    return {"status": remote.get_batch_status().name, "counter": remote.results[0].final_bitstrings}


def a_default_number_of_shots():
    config = BackendConfig(default_num_shots=25)
    backend = QPUBackend(parametrized(laid_out(), fresnel), connection, config=config)
    jobs = [{"variables": {"omega_max": 1.0}}, {"runs": 40, "variables": {"omega_max": 2.0}}]
    return {"shots": shots_of(backend.run(jobs, wait=True))}


def different_registers():
    jobs = [
        {"runs": 10, "variables": {"qubits": {"q0": 1, "q1": 5, "q2": 7}}},
        {"runs": 10, "variables": {"qubits": {"q0": 2, "q1": 4, "q2": 8, "q3": 26}}},
    ]
    remote = QPUBackend(mappable(fresnel), connection).run(jobs, wait=True)
    return {"atoms": [list(each.atom_order) for each in remote.results]}


def an_open_batch():
    backend = QPUBackend(parametrized(laid_out(), fresnel), connection)
    with backend.open_batch():
        first = backend.run([{"runs": 10, "variables": {"omega_max": 1.0}}])
        second = backend.run([{"runs": 20, "variables": {"omega_max": 2.0}}])
    until_over(second)
    return {
        "one_batch": first.batch_id == second.batch_id,
        "shots": [shots_of(first), shots_of(second)],
        "status": second.get_batch_status().name,
    }


tell(
    devices={name: device.name for name, device in devices.items()},
    a_sequence=a_sequence(),
    a_default_number_of_shots=a_default_number_of_shots(),
    different_registers=different_registers(),
    an_open_batch=an_open_batch(),
)
