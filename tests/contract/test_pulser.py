"""The Pulser executor: what a physicist gets back, and what it tells one who errs."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pulser import NoiseModel, Pulse, Register, Sequence
from pulser.backend import BitStrings, EmulationConfig, Occupation, Results
from pulser.devices import AnalogDevice, MockDevice
from pulser.register.special_layouts import TriangularLatticeLayout

from workers.executors.base import JobFailed, Work
from workers.executors.pulser import PulserExecutor

PI_PULSE = 2 * math.pi
"""rad/us: half a turn in 500 ns."""


def parametrized() -> str:
    """Two atoms far apart under one square pulse of 500 ns."""
    sequence = Sequence(Register({"q0": (0, 0), "q1": (40, 0)}), MockDevice)
    sequence.declare_channel("ryd", "rydberg_global")
    amplitude = sequence.declare_variable("amplitude")
    sequence.add(Pulse.ConstantPulse(500, amplitude, 0, 0), "ryd")
    return sequence.to_abstract_repr()


def mappable() -> str:
    layout = TriangularLatticeLayout(n_traps=20, spacing=40)
    sequence = Sequence(layout.make_mappable_register(n_qubits=6), MockDevice)
    sequence.declare_channel("ryd", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(500, PI_PULSE, 0, 0), "ryd")
    return sequence.to_abstract_repr()


def noisy() -> str:
    noise = NoiseModel(temperature=50.0, amp_sigma=0.05, p_false_pos=0.1)
    config: Any = EmulationConfig(observables=[BitStrings()], noise_model=noise, n_trajectories=7)
    return str(config.to_abstract_repr())


def work(payload: Mapping[str, Any], *, batch: str = "batch", **shared: Any) -> Work:
    shared.setdefault("sequence", parametrized())
    return Work(batch=batch, shared=shared, job="job", run=1, payload=payload)


def turn(amplitude: object = PI_PULSE / 2, **payload: Any) -> dict[str, Any]:
    return {"runs": 200, "variables": {"amplitude": amplitude}, **payload}


@pytest.fixture(scope="module")
def shared_executor() -> PulserExecutor:
    return PulserExecutor()


@pytest.fixture
def executor(shared_executor: PulserExecutor) -> Iterator[PulserExecutor]:
    yield shared_executor
    shared_executor._programs.clear()


def run(executor: PulserExecutor, task: Work) -> dict[str, Any]:
    """Through JSON, as it travels."""
    result: Any = executor.run(task, canceled=lambda: False)
    result = json.loads(json.dumps(result, allow_nan=False))
    return dict(result)


def reason(executor: PulserExecutor, task: Work) -> str:
    with pytest.raises(JobFailed) as failed:
        executor.run(task, canceled=lambda: False)
    return str(failed.value)


def test_the_counts_add_up_to_the_runs(executor: PulserExecutor) -> None:
    assert sum(run(executor, work(turn(runs=137)))["counter"].values()) == 137


def test_the_counter_holds_the_samples_of_pulsers_own_results(executor: PulserExecutor) -> None:
    result = run(executor, work(turn()))
    results = Results.from_abstract_repr(json.dumps(result["results"]))
    assert results.final_bitstrings == result["counter"]
    assert list(results.atom_order) == result["atom_order"] == ["q0", "q1"]
    assert results.total_duration == result["total_duration"] == 500


def test_a_pi_pulse_excites_every_atom(executor: PulserExecutor) -> None:
    assert run(executor, work(turn(PI_PULSE)))["counter"]["11"] > 190


def test_no_amplitude_leaves_every_atom_alone(executor: PulserExecutor) -> None:
    assert run(executor, work(turn(0)))["counter"] == {"00": 200}


def test_a_job_without_runs_takes_the_1000_shots_of_pulser(executor: PulserExecutor) -> None:
    result = run(executor, work({"variables": {"amplitude": 0}}))
    assert result["counter"] == {"00": 1000}
    assert result["runs"] == 1000


def test_the_config_may_set_the_number_of_shots(executor: PulserExecutor) -> None:
    config: Any = EmulationConfig(observables=[BitStrings()], default_num_shots=31)
    task = work({"variables": {"amplitude": 0}}, config=config.to_abstract_repr())
    assert run(executor, task)["counter"] == {"00": 31}


def test_a_sequence_may_come_as_an_object(executor: PulserExecutor) -> None:
    assert run(executor, work(turn(0), sequence=json.loads(parametrized())))["runs"] == 200


def test_each_job_of_a_mappable_register_places_its_own_atoms(executor: PulserExecutor) -> None:
    for qubits in ({"q0": 3}, {"q1": 5, "q0": 1}, {"q0": 1, "q1": 5, "q2": 7}):
        payload = {"runs": 20, "variables": {"qubits": qubits}}
        result = run(executor, work(payload, sequence=mappable()))
        assert result["atom_order"] == sorted(qubits)
        assert result["counter"]["1" * len(qubits)] >= 18


def test_a_job_may_bring_its_own_sequence(executor: PulserExecutor) -> None:
    payload = {"runs": 5, "variables": {"qubits": {"q0": 0}}, "sequence": mappable()}
    assert run(executor, work(payload))["atom_order"] == ["q0"]


def test_observables_of_the_config_come_back(executor: PulserExecutor) -> None:
    occupation = Occupation(evaluation_times=[0.5, 1.0])
    config = EmulationConfig(observables=[occupation]).to_abstract_repr()
    result = run(executor, work(turn(PI_PULSE), backend_configuration=config))
    results = Results.from_abstract_repr(json.dumps(result["results"]))
    assert result["tags"] == ["bitstrings", "occupation"]
    assert results.get_result("occupation", 0.5) == pytest.approx([0.5, 0.5], abs=0.01)
    assert sum(result["counter"].values()) == 200


def test_options_of_other_backends_are_left_aside(executor: PulserExecutor) -> None:
    config = json.loads(EmulationConfig(observables=[BitStrings()]).to_abstract_repr())
    task = work(turn(0), config={**config, "num_gpus_to_use": 1, "progress_bar": True})
    assert run(executor, task)["counter"] == {"00": 200}


def test_noise_trajectories_do_not_multiply_the_runs(executor: PulserExecutor) -> None:
    result = run(executor, work(turn(runs=50), config=noisy()))
    results = Results.from_abstract_repr(json.dumps(result["results"]))
    assert sum(result["counter"].values()) == 50
    assert results.final_bitstrings == result["counter"]


def test_a_sequence_is_parsed_once_per_batch(
    executor: PulserExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    parse = executor._emulator.parse_sequence

    def counted(sequence: object) -> Any:
        parsed.append(sequence)
        return parse(sequence)

    monkeypatch.setattr(executor._emulator, "parse_sequence", counted)
    for batch in ("first", "first", "first", "second"):
        run(executor, work(turn(0), batch=batch))
    assert len(parsed) == 2


def test_only_the_latest_batches_are_remembered(executor: PulserExecutor) -> None:
    for batch in "abcd":
        run(executor, work(turn(0), batch=batch))
    assert list(executor._programs) == ["c", "d"]


def test_two_jobs_do_not_draw_the_same_samples(executor: PulserExecutor) -> None:
    counters = [run(executor, work(turn(runs=1000)))["counter"] for _ in range(4)]
    assert any(counter != counters[0] for counter in counters)


SAME_START = """
import json, sys
import numpy as np
from workers.executors.base import Work
from workers.executors.pulser import PulserExecutor
executor = PulserExecutor()
np.random.seed(0)
task = Work(job="job", run=1, **json.load(sys.stdin))
print(json.dumps(executor.run(task, canceled=lambda: False)["counter"], sort_keys=True))
"""


def test_two_processes_with_the_same_random_state_do_not_sample_alike() -> None:
    task = work(turn(runs=1000))
    body = json.dumps({"batch": task.batch, "shared": task.shared, "payload": task.payload})
    children = [
        subprocess.run(
            [sys.executable, "-c", SAME_START],
            input=body,
            text=True,
            capture_output=True,
            check=True,
        )
        for _ in range(2)
    ]
    assert children[0].stdout != children[1].stdout


def test_a_seed_makes_the_samples_repeatable(executor: PulserExecutor) -> None:
    first, second = (run(executor, work(turn(seed=7), config=noisy())) for _ in range(2))
    assert first["counter"] == second["counter"]


def test_a_missing_variable_is_named(executor: PulserExecutor) -> None:
    assert "no value for amplitude" in reason(executor, work({"runs": 5}))


def test_an_unknown_variable_is_named_beside_those_there_are(executor: PulserExecutor) -> None:
    payload = {"runs": 5, "variables": {"amplitude": 1, "omega": 1}}
    assert reason(executor, work(payload)) == "unknown variable omega; declared: amplitude"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (turn([1, 2]), "array of size 2"),
        (turn("high"), "variable amplitude must be a number"),
        (turn(math.nan), "variable amplitude must be a number"),
        (turn(-1), "amplitude waveform must be greater than or equal to zero"),
        (turn(runs=0), "runs must be a whole number of at least 1"),
        (turn(runs=1.5), "runs must be a whole number of at least 1"),
        (turn(runs=True), "runs must be a whole number of at least 1"),
        (turn(seed=-1), "seed must be a whole number"),
        ({"variables": [1]}, "variables must be an object"),
    ],
)
def test_a_job_that_cannot_run_says_why(
    executor: PulserExecutor, payload: dict[str, Any], expected: str
) -> None:
    assert expected in reason(executor, work(payload))


BAD_QUBITS: list[tuple[dict[str, int], str]] = [
    ({"q0": 99}, "trap"),
    ({"q9": 1}, "pre-declared qubit IDs"),
    ({"q1": 1}, "first 1 elements"),
]


@pytest.mark.parametrize(("qubits", "expected"), BAD_QUBITS)
def test_a_register_that_cannot_be_placed_says_why(
    executor: PulserExecutor, qubits: dict[str, int], expected: str
) -> None:
    payload = {"runs": 5, "variables": {"qubits": qubits}}
    assert expected in reason(executor, work(payload, sequence=mappable()))


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        ("{broken", "the sequence cannot be read: Expecting property name"),
        ({"version": "1"}, "is a required property"),
        (None, "the batch has no sequence"),
    ],
)
def test_a_sequence_that_cannot_be_read_says_why(
    executor: PulserExecutor, sequence: object, expected: str
) -> None:
    assert expected in reason(executor, work(turn(), sequence=sequence))


def test_the_limits_of_the_sequences_device_are_kept(executor: PulserExecutor) -> None:
    layout = TriangularLatticeLayout(n_traps=20, spacing=10)
    sequence = Sequence(layout.hexagonal_register(3), AnalogDevice)
    sequence.declare_channel("ryd", "rydberg_global")
    amplitude = sequence.declare_variable("amplitude")
    sequence.add(Pulse.ConstantPulse(500, amplitude, 0, 0), "ryd")
    task = work(turn(1000), sequence=sequence.to_abstract_repr())
    assert "amplitude goes over the maximum" in reason(executor, task)


def test_what_pulser_warns_of_reaches_the_user(executor: PulserExecutor) -> None:
    layout = TriangularLatticeLayout(n_traps=20, spacing=10)
    sequence = Sequence(layout.hexagonal_register(2), AnalogDevice)
    sequence.declare_channel("ryd", "rydberg_global")
    duration = sequence.declare_variable("duration", dtype=int)
    sequence.add(Pulse.ConstantPulse(duration, 1, 0, 0), "ryd")
    payload = {"runs": 5, "variables": {"duration": 101}}
    result = run(executor, work(payload, sequence=sequence.to_abstract_repr()))
    assert any("duration" in said for said in result["warnings"])


def test_a_register_too_large_to_emulate_is_refused() -> None:
    small = PulserExecutor(max_qubits=1)
    assert "2 atoms are too many: this device runs up to 1" in reason(small, work(turn()))


def test_a_failed_job_leaves_the_next_one_of_its_batch_alone(executor: PulserExecutor) -> None:
    reason(executor, work(turn(-1)))
    assert run(executor, work(turn(0)))["counter"] == {"00": 200}
