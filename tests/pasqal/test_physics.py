"""What the service counts is what quantum mechanics says, within a bound stated for each case.

The distance is the total variation between the relative counts and the exact probabilities. With
the bound of `programs.bound` a right service fails one run in a million.
"""

from typing import Any

import numpy as np
import pytest
from pulser import NoiseModel
from pulser.backend import BitStrings, EmulationConfig, Occupation, Results

from tests.pasqal.conftest import Cloud
from tests.pasqal.programs import (
    Program,
    bound,
    distance,
    exact,
    fixed,
    for_qpu,
    mappable,
    one_sided,
    parametrized,
    unique,
)

SHOTS = 4000


def counted(
    cloud: Cloud,
    sequence: Program | None,
    *jobs: dict[str, Any],
    device_type: str | None = "EMU_FREE",
    **options: Any,
) -> list[dict[str, int]]:
    batch = cloud.create_batch(
        None if sequence is None else sequence.to_abstract_repr(),
        [{"runs": SHOTS, **job} for job in jobs or ({},)],
        device_type=device_type,
        wait=True,
        tags=unique(),
        **options,
    )
    assert [job.errors for job in batch.ordered_jobs] == [None] * len(batch.ordered_jobs)
    return [job.result or {} for job in batch.ordered_jobs]


@pytest.mark.parametrize("atoms", [1, 2, 3, 4])
def test_a_plain_sequence(cloud: Cloud, atoms: int) -> None:
    [counter] = counted(cloud, fixed(atoms))
    assert sum(counter.values()) == SHOTS
    assert distance(counter, exact(fixed(atoms))) < bound(2**atoms, SHOTS)


def test_each_job_has_its_own_variables(cloud: Cloud) -> None:
    omegas = [1.0, 3.0, 9.5]
    counters = counted(cloud, parametrized(), *({"variables": {"omega_max": o}} for o in omegas))
    for omega, counter in zip(omegas, counters, strict=True):
        assert distance(counter, exact(parametrized(), omega_max=omega)) < bound(4, SHOTS)


def test_each_job_has_its_own_register(cloud: Cloud) -> None:
    places = [{"q0": 1, "q1": 5, "q2": 7}, {"q0": 2, "q1": 4, "q2": 8, "q3": 26}]
    counters = counted(cloud, mappable(), *({"variables": {"qubits": q}} for q in places))
    for qubits, counter in zip(places, counters, strict=True):
        expected = exact(mappable(), qubits=qubits)
        assert distance(counter, expected) < bound(2 ** len(qubits), SHOTS)


def test_each_job_has_its_own_sequence(cloud: Cloud) -> None:
    own = [fixed(2, amplitude=1.0), fixed(3, duration=200)]
    jobs = [{"serialized_sequence": each.to_abstract_repr()} for each in own]
    for sequence, counter in zip(own, counted(cloud, None, *jobs), strict=True):
        assert distance(counter, exact(sequence)) < bound(8, SHOTS)


def test_the_leftmost_bit_is_the_first_atom(cloud: Cloud) -> None:
    assert exact(one_sided())["10"] > 0.99
    [counter] = counted(cloud, one_sided())
    assert distance(counter, exact(one_sided())) < bound(4, SHOTS)


def test_noise_of_the_readout_is_what_was_asked_for(cloud: Cloud) -> None:
    """Every bit is read wrong with known odds: the exact probabilities are mixed by them."""
    false_pos, false_neg = 0.1, 0.2
    noise = NoiseModel(p_false_pos=false_pos, p_false_neg=false_neg, state_prep_error=0.0)
    config: Any = EmulationConfig(observables=[BitStrings()], noise_model=noise)
    [counter] = counted(cloud, fixed(2), backend_configuration=config.to_abstract_repr())
    once = np.array([[1 - false_pos, false_neg], [false_pos, 1 - false_neg]])
    ideal = exact(fixed(2))
    read = np.kron(once, once) @ np.array([ideal[bits] for bits in ("00", "01", "10", "11")])
    expected = dict(zip(("00", "01", "10", "11"), read, strict=True))
    assert distance(counter, expected) < bound(4, SHOTS)


def test_what_is_observed_agrees_with_the_exact_state(cloud: Cloud) -> None:
    config: Any = EmulationConfig(
        observables=[BitStrings(), Occupation(evaluation_times=[0.5, 1.0])],
    )
    batch = cloud.create_batch(
        fixed(2).to_abstract_repr(),
        [{"runs": 100}],
        device_type="EMU_FREE",
        backend_configuration=config.to_abstract_repr(),
        wait=True,
        tags=unique(),
    )
    whole = batch.ordered_jobs[0].full_result
    assert whole is not None
    results = Results.from_abstract_repr(whole["serialised_results"] or "")
    ideal = exact(fixed(2))
    excited = [sum(p for bits, p in ideal.items() if bits[n] == "1") for n in (0, 1)]
    assert np.allclose(results.occupation[-1], excited, atol=1e-3)
    assert len(results.occupation) == 2


def test_the_qpu_like_device_counts_as_its_sequence_says(cloud: Cloud) -> None:
    [counter] = counted(cloud, for_qpu(), {"runs": 1000}, device_type=None)
    assert distance(counter, exact(for_qpu())) < bound(4, 1000)


def test_the_same_job_twice_draws_other_shots(cloud: Cloud) -> None:
    first, second = counted(cloud, fixed(4), {}, {})
    assert first != second


def test_two_devices_do_not_draw_the_same_shots(cloud: Cloud) -> None:
    """Each is the first that its process draws of this sequence."""
    sequence = for_qpu()
    [virtual] = counted(cloud, sequence, {"runs": 2000}, device_type="EMU_FREE")
    [real] = counted(cloud, sequence, {"runs": 2000}, device_type=None)
    assert virtual != real
