"""pasqal-cloud 0.22.0, through pulser-pasqal and by itself."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pasqal_cloud.device import DeviceTypeName
from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient

from tests.pasqal.conftest import Dev
from tests.pasqal.older_environment import printed_by
from tests.pasqal.programs import bound, distance, exact, fixed, for_qpu, unique

PROGRAMS = Path(__file__).with_name("older")
Told = dict[str, Any]


@pytest.fixture(scope="module")
def run(dev: Dev, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Told]:
    ready = tmp_path_factory.mktemp("older") / "ready.json"
    ready.write_text(json.dumps(asdict(dev)))

    def program(name: str) -> Told:
        told: Told = json.loads(printed_by(PROGRAMS / f"{name}.py", ready).splitlines()[-1])
        return told

    return program


@pytest.fixture(scope="module")
def sdk(run: Callable[[str], Told]) -> Told:
    return run("sdk")


@pytest.fixture(scope="module")
def emulators(run: Callable[[str], Told]) -> Told:
    return run("emulators")


@pytest.fixture(scope="module")
def qpu(run: Callable[[str], Told]) -> Told:
    return run("qpu")


def test_it_is_the_older_client(sdk: Told) -> None:
    assert sdk["version"] == "0.22.0"


def test_an_open_batch_takes_jobs_until_it_is_closed(sdk: Told) -> None:
    assert sdk["an_open_batch"] == {
        "between": "RUNNING",
        "after": "DONE",
        "jobs": ["DONE"] * 3,
        "open": False,
    }


def test_jobs_of_one_batch_may_have_different_registers(sdk: Told) -> None:
    assert sdk["different_registers"] == {"widths": [[3], [4]], "shots": 100}


def test_the_old_words_for_open_device_and_closing_still_work(sdk: Told) -> None:
    assert sdk["the_old_words"] == {
        "variables": [{"omega_max": 1.0}] * 2,
        "jobs": 2,
        "complete": True,
    }


def test_a_job_may_bring_its_own_sequence_and_a_batch_its_noise(sdk: Told) -> None:
    assert sdk["own_sequences"] == {"shots": 7, "noisy": True}


def test_jobs_are_listed_run_again_canceled_and_tagged(sdk: Told) -> None:
    assert sdk["lists_and_changes"] == {
        "page": True,
        "total": 4,
        "again": [6, 7],
        "canceled": ["CANCELED"],
        "waiting": "CANCELED",
        "tags": ["new"],
        "projects": True,
    }


def test_jobs_that_a_newer_client_made_without_runs_are_listed_too(
    run: Callable[[str], Told], cloud: PasqalCloudClient
) -> None:
    """As the newer backends submit them; this one insists that a job has a number of runs."""
    program = fixed().to_abstract_repr()
    batch = cloud.create_batch(
        program, [{}], device_type=DeviceTypeName.EMU_FREE, wait=True, tags=unique()
    )
    job = batch.ordered_jobs[0]
    assert run("everything")["jobs"][job.id] == sum((job.result or {}).values())


def test_an_emulator_takes_the_shots_of_its_config(emulators: Told) -> None:
    """This client sends `runs: 1` with every job, and promises that it is not looked at."""
    told = emulators["with_observables"]
    assert (told["status"], told["atoms"]) == ("DONE", ["q0", "q1"])
    assert sum(told["counter"].values()) == 400
    assert distance(told["counter"], exact(fixed())) < bound(4, 400)


def test_observables_come_back_at_the_times_that_were_asked_for(emulators: Told) -> None:
    told = emulators["with_observables"]
    assert told["times"] == [0.5, 1.0]
    expected = exact(fixed())
    excited = [expected["10"] + expected["11"], expected["01"] + expected["11"]]
    assert told["occupation"] == pytest.approx(excited, abs=1e-3)


def test_results_are_found_again_by_their_ids(emulators: Told) -> None:
    assert emulators["come_back_later"] == {"jobs": 3, "same": True, "available": True}


def test_an_emulator_backend_opens_a_batch(emulators: Told) -> None:
    assert emulators["an_open_batch"] == {
        "status": ["RUNNING", "DONE"],
        "jobs": [1, 2],
        "one_batch": True,
        "results": [1, 2],
    }


def test_the_first_emulator_backend_still_runs(emulators: Told) -> None:
    assert emulators["the_first_backend"] == {"shots": 30, "widths": [3]}


def test_devices_are_fetched(qpu: Told) -> None:
    assert qpu["devices"] == {"EMU_FREE": "MockDevice", "FRESNEL": "FRESNEL"}


def test_a_qpu_counts_what_the_sequence_says(qpu: Told) -> None:
    told = qpu["a_sequence"]
    assert (told["status"], sum(told["counter"].values())) == ("DONE", 300)
    assert distance(told["counter"], exact(for_qpu())) < bound(4, 300)


def test_a_qpu_takes_the_default_number_of_shots(qpu: Told) -> None:
    assert qpu["a_default_number_of_shots"] == {"shots": [25, 40]}


def test_a_qpu_takes_another_register_for_each_job(qpu: Told) -> None:
    assert qpu["different_registers"] == {
        "atoms": [["q0", "q1", "q2"], ["q0", "q1", "q2", "q3"]],
    }


def test_a_qpu_backend_opens_a_batch(qpu: Told) -> None:
    assert qpu["an_open_batch"] == {
        "one_batch": True,
        "shots": [[10], [20]],
        "status": "DONE",
    }
