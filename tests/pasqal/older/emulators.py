"""Pulser's remote backends for emulators, as of pulser-pasqal 0.24.0."""

# mypy: ignore-errors

from pulser.backend import BitStrings, EmulationConfig, EmulatorConfig, Occupation
from pulser_pasqal import EmuFreeBackend, EmuFreeBackendV2, PasqalCloud
from sequences import mappable, pair, parametrized, pulsed
from service import tell, until_over, with_password, with_token

SHOTS = 400

connection = PasqalCloud(**with_password())
config = EmulationConfig(
    observables=[BitStrings(num_shots=SHOTS), Occupation(evaluation_times=[0.5, 1.0])]
)


def for_jobs(*values):
    return [{"variables": {"omega_max": value}} for value in values]


def with_observables():
    remote = EmuFreeBackendV2(pulsed(pair()), connection, config=config).run(wait=True)
    [result] = remote.results
    return {
        "status": remote.get_batch_status().name,
        "counter": result.final_bitstrings,
        "atoms": list(result.atom_order),
        "times": result.get_result_times("occupation"),
        "occupation": [float(value) for value in result.occupation[-1]],
    }


def come_back_later():
    """By the ids of a batch and its jobs, over another connection."""
    backend = EmuFreeBackendV2(parametrized(pair()), connection, config=config)
    first = backend.run(for_jobs(1.0, 2.0, 3.0), wait=True)
    chosen = first.job_ids[:0:-1]
    later = PasqalCloud(**with_token()).get_results(first.batch_id, chosen)
    return {
        "jobs": len(first.job_ids),
        "same": [each.final_bitstrings for each in later.results]
        == [each.final_bitstrings for each in first.results[:0:-1]],
        "available": set(later.get_available_results()) == set(chosen),
    }


def an_open_batch():
    backend = EmuFreeBackendV2(parametrized(pair()), connection, config=config)
    with backend.open_batch():
        first = backend.run(for_jobs(1.0))
        until_over(first)
        status = first.get_batch_status().name
        second = backend.run(for_jobs(2.0, 3.0))
    until_over(second)
    return {
        "status": [status, second.get_batch_status().name],
        "jobs": [len(first.job_ids), len(second.job_ids)],
        "one_batch": first.batch_id == second.batch_id,
        "results": [len(first.results), len(second.results)],
    }


def the_first_backend():
    """Deprecated even then: another config, which becomes `configuration` on the wire."""
    noisy = EmulatorConfig(
        backend_options={"with_noise": True}, evaluation_times="Final", sampling_rate=0.25
    )
    backend = EmuFreeBackend(mappable(), connection, config=noisy)
    qubits = {"q0": 1, "q1": 5, "q2": 7}
    remote = backend.run([{"runs": 30, "variables": {"qubits": qubits}}], wait=True)
    counter = remote.results[0].final_bitstrings
    return {"shots": sum(counter.values()), "widths": sorted({len(bits) for bits in counter})}


tell(
    with_observables=with_observables(),
    come_back_later=come_back_later(),
    an_open_batch=an_open_batch(),
    the_first_backend=the_first_backend(),
)
