"""The key of a job's content, and what is read of entries that are none."""

import json
import math
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.services.content import Asked, canonical, key_of, parse, read
from schemas.chemistry import FARTHEST

coordinates = (
    st.floats(-FARTHEST, FARTHEST) | st.floats(-1e-5, 1e-5) | st.integers(-9, 9).map(float)
)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53) + 1, 2**53 - 1)
payloads = st.fixed_dictionaries(
    {
        "atoms": st.fixed_dictionaries(
            {
                "symbols": st.lists(st.text(max_size=3), max_size=3),
                "positions": st.lists(st.tuples(coordinates, coordinates, coordinates), max_size=4),
                "charge": st.integers(-100, 100),
            }
        ),
        "level_of_theory": st.text(max_size=5),
        "fmax": numbers,
        "constraints": st.lists(st.dictionaries(st.sampled_from("abc"), numbers), max_size=2),
    }
)


def rounded(payload: dict[str, Any]) -> dict[str, Any]:
    positions = [[round(x, 8) + 0.0 for x in each] for each in payload["atoms"]["positions"]]
    return {**payload, "atoms": {**payload["atoms"], "positions": positions}}


def with_fmax(fmax: float) -> dict[str, Any]:
    atoms = {"symbols": [], "positions": [], "charge": 0}
    return {"atoms": atoms, "level_of_theory": "", "fmax": fmax, "constraints": []}


@given(payloads)
@example(with_fmax(1e15))
@example(with_fmax(9007199254740994.0))
@example(with_fmax(1e16))
@example({**with_fmax(9.5e15), "constraints": [{"a": 1e-7}]})
def test_the_canonical_text_is_that_of_the_standard(payload: dict[str, Any]) -> None:
    assert canonical(payload) == rfc8785.dumps(rounded(payload)).decode()


def entry(**job: Any) -> Any:
    atoms = {"symbols": ["H", "H"], "positions": [[0, 0, 0], [0, 0, 0.74]]}
    given = {"job_type": "single_point_energy", "atoms": atoms, "level_of_theory": "GFN2-xTB"}
    return {"job": {**given, **job}}


def key(backend: str = "tblite/1", **job: Any) -> bytes:
    asked = read(entry(**job))
    assert isinstance(asked, Asked), asked
    return key_of(asked.payload, backend)


def at(x: float) -> dict[str, Any]:
    return {"symbols": ["H", "H"], "positions": [[x, 0, 0], [0, 0, 0.74]]}


def test_what_is_written_otherwise_is_the_same() -> None:
    assert key() == key(name="any") == key(atoms=at(-0.0)) == key(atoms=at(1e-9))


def test_what_is_something_else_is_not() -> None:
    others = [
        key("tblite/2"),
        key(level_of_theory="GFN1-xTB"),
        key(job_type="optimization"),
        key(job_type="optimization", fmax=0.01),
        key(atoms=at(1e-7)),
        key(atoms={**at(0), "charge": 2, "symbols": ["He", "H"], "multiplicity": 2}),
    ]
    assert len({key(), *others}) == 1 + len(others)


# What takes time by the square of its size would take hours here.
LONG = 300_000


def test_of_many_fields_the_one_that_is_there_twice_is_found() -> None:
    fields = ",".join(f'"{n}":0' for n in [*range(LONG), LONG - 1])
    assert f"has the field '{LONG - 1}' twice" in str(read(parse(f"{{{fields}}}".encode())))


def test_a_text_without_an_end_is_refused_in_one_go() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        parse(b"[" * 10**5 + b'"' + b'\\"' * LONG)


def test_a_thousand_mistakes_are_not_all_looked_for() -> None:
    bad = {"symbols": [1] * 1000, "positions": [[]] * 1000}
    said = str(read(entry(atoms=bad)))
    assert said.startswith("Invalid job payload: job.atoms.symbols[0]: ")
    assert said.endswith("; and 1 more")


@pytest.mark.parametrize("x", [True, "0", None])
def test_only_a_number_is_a_coordinate(x: object) -> None:
    said = str(read(entry(atoms={"symbols": ["He"], "positions": [[x, 0, 0]]})))
    assert said == "Invalid job payload: job.atoms.positions[0][0]: input should be a valid number"


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        ({"kind": "freeze_atom", "atom": -1}, ".atom: input should be greater than or equal to 0"),
        ({"kind": "angle", "atoms": [0, 1, 2], "value": 400}, ": the value of a angle is from"),
        ({"kind": "bond", "atoms": [1, 1]}, ": a bond needs 2 different atoms"),
        ({"kind": "knot"}, ".kind: must be one of freeze_atom, bond, angle, dihedral"),
        ({}, ".kind: must be one of freeze_atom, bond, angle, dihedral"),
    ],
)
def test_a_wrong_constraint_is_told_by_what_is_wrong_with_it(
    constraint: dict[str, Any], said: str
) -> None:
    found = str(read(entry(job_type="optimization", constraints=[constraint])))
    assert found.startswith(f"Invalid job payload: job.constraints[0]{said}")


def test_a_field_that_is_there_twice_is_named() -> None:
    body = b'{"job": {"job_type": "single_point_energy", "atoms": {"charge": 1, "charge": 2}}}'
    assert "job.atoms: has the field 'charge' twice" in str(read(parse(body)))


def test_what_lies_too_deep_is_not_read_and_spoils_nothing_else() -> None:
    deep = '{"a": "[", "b": ' + "[" * 5000 + '"]"' + "]" * 5000 + ', "c": 1}'
    found = parse(deep.encode())
    assert (found["a"], found["c"]) == ("[", 1)
    inner, levels = found["b"], 0
    while isinstance(inner, list) and inner:
        inner, levels = inner[0], levels + 1
    assert inner is None and levels == 99


def test_numbers_that_json_cannot_say_are_refused_where_they_are() -> None:
    for number in ("NaN", "1e999", "9" * 5000):
        found = parse(json.dumps(entry()).replace("0.74", number).encode())
        assert not math.isfinite(found["job"]["atoms"]["positions"][1][2])
        assert str(read(found)).startswith("Invalid job payload: job.atoms.positions[1][2]: ")


def test_a_refusal_is_short_whatever_was_sent() -> None:
    for job in ({"job_type": "x" * 10**6}, {"atoms": {"symbols": ["X" * 10**6]}}, {"y" * 10**6: 1}):
        assert len(str(read(entry(**job)))) < 1000
