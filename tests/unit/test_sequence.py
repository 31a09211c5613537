"""The checks agree with Pulser: what they let pass builds, what they refuse does not."""

import json
from typing import Any

import pytest
from pulser import Pulse, Register, Sequence
from pulser.devices import MockDevice
from pulser.register.special_layouts import TriangularLatticeLayout

from orchestrator.domain.sequence import (
    SequenceFacts,
    Variable,
    check_job,
    check_sequence,
)
from orchestrator.errors import Flaw

LARGE = 1_000_000


def fixed() -> Sequence[Any]:
    sequence: Sequence[Any] = Sequence(Register({"q0": (0, 0), "q1": (8, 0)}), MockDevice)
    sequence.declare_channel("ryd", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(500, 1, 0, 0), "ryd")
    return sequence


def parametrized() -> Sequence[Any]:
    sequence = fixed()
    omega = sequence.declare_variable("omega_max")
    ends: Any = sequence.declare_variable("ends", size=2)
    duration = sequence.declare_variable("duration", dtype=int)
    sequence.declare_variable("unused")
    sequence.add(Pulse.ConstantPulse(duration, omega, ends[0] + ends[1], 0), "ryd")
    return sequence


def mappable() -> Sequence[Any]:
    register = TriangularLatticeLayout(n_traps=9, spacing=8).make_mappable_register(n_qubits=4)
    sequence: Sequence[Any] = Sequence(register, MockDevice)
    sequence.declare_channel("ryd", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(500, 1, 0, 0), "ryd")
    return sequence


VALUES: dict[str, Any] = {"omega_max": 3.5, "ends": [-1, 1.5], "duration": 200, "unused": 0}


def facts_of(sequence: Sequence[Any]) -> SequenceFacts:
    facts = check_sequence(sequence.to_abstract_repr(), max_bytes=LARGE)
    assert isinstance(facts, SequenceFacts)
    return facts


def body(**changes: Any) -> dict[str, Any]:
    return {**json.loads(parametrized().to_abstract_repr()), **changes}


def problem(sequence: str | dict[str, Any], max_bytes: int = LARGE) -> Flaw:
    found = check_sequence(sequence, max_bytes=max_bytes)
    assert isinstance(found, list)
    assert len(found) == 1
    return found[0]


def problems(sequence: Sequence[Any], variables: Any) -> list[Flaw]:
    job = {"runs": 10, "variables": variables}
    return check_job(facts_of(sequence), job, max_runs=2000, at="jobs[3]")


def pulser_builds(sequence: Sequence[Any], variables: dict[str, Any]) -> bool:
    try:
        sequence.build(**variables)
    except (TypeError, ValueError):
        return False
    return True


def test_a_fixed_sequence_asks_nothing_of_its_jobs() -> None:
    facts = facts_of(fixed())
    assert (facts.parametrized, facts.mappable) == (False, False)
    assert (facts.qubits, facts.device) == (("q0", "q1"), "MockDevice")
    assert problems(fixed(), None) == []


def test_the_facts_name_every_variable_with_its_type_and_size() -> None:
    assert facts_of(parametrized()).variables == {
        "omega_max": Variable("float", 1),
        "ends": Variable("float", 2),
        "duration": Variable("int", 1),
        "unused": Variable("float", 1),
    }


def test_the_facts_count_the_traps_of_a_mappable_register() -> None:
    facts = facts_of(mappable())
    assert facts.traps == 9
    assert facts.qubits == ("q0", "q1", "q2", "q3")


def test_an_object_gives_the_same_facts_as_its_text() -> None:
    text = parametrized().to_abstract_repr()
    assert check_sequence(json.loads(text), max_bytes=LARGE) == facts_of(parametrized())


@pytest.mark.parametrize("text", ["{broken", "", "[" * 100_000])
def test_what_is_not_json_is_refused(text: str) -> None:
    assert "is not JSON" in problem(text).message


@pytest.mark.parametrize("text", ["[]", "3", "null", '"text"'])
def test_what_is_no_object_is_refused(text: str) -> None:
    assert "must be a JSON object" in problem(text).message


def test_a_sequence_that_is_too_large_is_refused_by_its_bytes() -> None:
    assert problem('"é"', max_bytes=3).message == "has 4 bytes; up to 3 are allowed"


def test_missing_keys_are_named_together() -> None:
    lacking = body()
    del lacking["register"], lacking["channels"]
    assert "lacks channels, register" in problem(lacking).message


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": "2"}, "sequence.version"),
        ({"device": 5}, "sequence.device"),
        ({"operations": {}}, "sequence.operations"),
        ({"variables": []}, "sequence.variables"),
        ({"variables": {"a": {"type": "str", "value": [1]}}}, "sequence.variables.a.type"),
        ({"variables": {"a": {"type": "int"}}}, "sequence.variables.a.value"),
        ({"register": []}, "sequence.register"),
        ({"register": [{"name": "q0"}, {"name": "q0"}]}, "sequence.register"),
        ({"register": [{"name": "q0"}, {"qid": "q1"}]}, "sequence.register"),
        ({"register": [{"qid": "q0"}]}, "sequence.layout"),
        ({"register": [{"qid": "q0"}], "layout": {"coordinates": []}}, "sequence.register"),
    ],
)
def test_a_malformed_part_is_named(changes: dict[str, Any], field: str) -> None:
    assert problem(body(**changes)).field == field


def test_values_for_all_variables_pass_and_build() -> None:
    assert problems(parametrized(), VALUES) == []
    assert pulser_builds(parametrized(), VALUES)


@pytest.mark.parametrize("changes", [{"duration": 200.7}, {"omega_max": [3.5]}])
def test_what_pulser_takes_is_taken(changes: dict[str, Any]) -> None:
    assert problems(parametrized(), VALUES | changes) == []
    assert pulser_builds(parametrized(), VALUES | changes)


@pytest.mark.parametrize("name", VALUES)
def test_a_declared_variable_must_have_a_value_even_if_unused(name: str) -> None:
    values = {key: value for key, value in VALUES.items() if key != name}
    (found,) = problems(parametrized(), values)
    assert found.field == f"jobs[3].variables.{name}"
    assert "is missing" in found.message
    assert not pulser_builds(parametrized(), values)


@pytest.mark.parametrize("ends", [1, [1], [1, 2, 3], []])
def test_a_value_of_the_wrong_length_is_refused(ends: Any) -> None:
    (found,) = problems(parametrized(), VALUES | {"ends": ends})
    assert found.field == "jobs[3].variables.ends"
    assert found.message.startswith("must be a list of 2 numbers")
    assert not pulser_builds(parametrized(), VALUES | {"ends": ends})


@pytest.mark.parametrize("value", ["3", True, {}, [[1]], float("nan"), float("inf"), 10**400])
def test_a_value_that_is_no_finite_number_is_refused(value: Any) -> None:
    (found,) = problems(parametrized(), VALUES | {"omega_max": value})
    assert found.message.startswith("must be a number, not ")


def test_an_undeclared_variable_is_refused_beside_those_there_are() -> None:
    (found,) = problems(parametrized(), VALUES | {"omega": 1})
    assert found.field == "jobs[3].variables.omega"
    assert found.message == (
        "is not declared by the sequence, which has omega_max, ends, duration, unused"
    )


def test_a_fixed_sequence_takes_no_variables() -> None:
    (found,) = problems(fixed(), {"omega": 1})
    assert found.message.endswith("which has no variables")


def test_every_problem_of_a_job_is_reported() -> None:
    job = {"runs": 0, "variables": {"omega": 1}}
    found = check_job(facts_of(parametrized()), job, max_runs=10)
    assert [each.field for each in found] == [
        "job.runs",
        "job.variables.omega",
        *(f"job.variables.{name}" for name in VALUES),
    ]


def test_variables_must_be_an_object() -> None:
    (found,) = problems(fixed(), [1])
    assert found == Flaw("jobs[3].variables", "must be an object of name: value")


@pytest.mark.parametrize("runs", [0, -1, 2001, 1.5, "10", True])
def test_runs_out_of_reach_are_refused(runs: Any) -> None:
    (found,) = check_job(facts_of(fixed()), {"runs": runs}, max_runs=2000, at="jobs[0]")
    assert found.field == "jobs[0].runs"


@pytest.mark.parametrize("job", [{}, {"runs": None}, {"runs": 1}, {"runs": 2000}])
def test_runs_may_be_left_to_the_device(job: dict[str, Any]) -> None:
    assert check_job(facts_of(fixed()), job, max_runs=2000) == []


@pytest.mark.parametrize("qubits", [{"q0": 8}, {"q1": 0, "q0": 5}, {"q0": 1, "q1": 2, "q2": 3}])
def test_the_first_qubits_may_be_placed_on_any_traps(qubits: dict[str, int]) -> None:
    assert problems(mappable(), {"qubits": qubits}) == []
    assert pulser_builds(mappable(), {"qubits": qubits})


@pytest.mark.parametrize(
    ("qubits", "field"),
    [
        (None, "qubits"),
        ({}, "qubits"),
        ({"q1": 1}, "qubits"),
        ({"q0": 1, "q2": 2}, "qubits"),
        ({"atom": 1}, "qubits"),
        ({f"q{i}": i for i in range(5)}, "qubits"),
        ({"q0": 9}, "qubits.q0"),
        ({"q0": 3, "q1": 3}, "qubits.q1"),
    ],
)
def test_qubits_that_cannot_be_placed_are_refused(qubits: Any, field: str) -> None:
    (found,) = problems(mappable(), {"qubits": qubits})
    assert found.field == f"jobs[3].variables.{field}"
    if qubits != {}:
        assert not pulser_builds(mappable(), {"qubits": qubits})


@pytest.mark.parametrize("trap", [-1, 1.0, True, "1", None])
def test_a_trap_must_be_the_number_of_one(trap: Any) -> None:
    (found,) = problems(mappable(), {"qubits": {"q0": trap}})
    assert "must be a trap from 0 to 8" in found.message


def test_qubits_have_no_place_in_a_fixed_register() -> None:
    (found,) = problems(fixed(), {"qubits": {"q0": 1}})
    assert found.field == "jobs[3].variables.qubits"
    with pytest.raises(ValueError, match="concrete register"):
        fixed().build(qubits={"q0": 1})
