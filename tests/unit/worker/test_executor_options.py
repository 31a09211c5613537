"""What an operator may set of an executor."""

import pytest

from workers.cli import run_worker
from workers.executors.options import VARIABLE, BadOptions, read


def test_options_become_what_the_executor_takes() -> None:
    given = ["modulation=true", "shot_s=0.25", "max_qubits=3"]
    assert read("pulser", given, {}) == {"modulation": True, "shot_s": 0.25, "max_qubits": 3}


def test_the_command_line_goes_before_the_environment() -> None:
    env = {VARIABLE: "shot_s=1, modulation=true"}
    assert read("pulser", ["shot_s=2"], env) == {"shot_s": 2.0, "modulation": True}


def test_none_given_are_none() -> None:
    assert read("scripted", [], {}) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shots=1", "pulser has modulation, shot_s, max_qubits"),
        ("modulation", "give NAME=VALUE"),
        ("modulation=yes", "must be true or false, not 'yes'"),
        ("shot_s=-1", "must be a number of at least 0"),
        ("shot_s=inf", "must be a number of at least 0"),
        ("max_qubits=0", "must be a whole number of at least 1"),
    ],
)
def test_a_wrong_option_is_refused_with_a_reason(text: str, said: str) -> None:
    with pytest.raises(BadOptions, match=said):
        read("pulser", [text], {})


def test_every_wrong_option_is_told_at_once() -> None:
    with pytest.raises(BadOptions, match=r"a=1.*shot_s"):
        read("pulser", ["a=1", "shot_s=x"], {})


def test_an_executor_without_options_says_so() -> None:
    with pytest.raises(BadOptions, match="scripted has none"):
        read("scripted", ["a=1"], {})


def test_a_worker_with_a_wrong_option_does_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    env = {"HOLDFAST_BROKER_URL": "redis://localhost", VARIABLE: "shots=1"}
    assert run_worker(device="q", type="FRESNEL", executor="pulser", env=env) == 2
    assert "option 'shots=1'" in capsys.readouterr().err
