"""Molecules through the submit-batch door, as its users send them: computed for real."""

import time
from pathlib import Path
from typing import Any

import holdfast
import pytest
from holdfast import Job
from holdfast.levels import GFN2_XTB
from holdfast.state import State

from tests.submit.dev import Dev
from tests.submit.molecules import clusters, own_energy


def counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    return answer["total"], answer["submitted"], answer["failed"], answer["cache_hits"]


def jobs_stored(dev: Dev) -> int:
    [(number,)] = dev.sql("SELECT count(*) FROM job")
    return int(number)


def test_the_example_of_the_door_runs_as_it_is_written() -> None:
    molecules = [holdfast.Atoms.from_smiles(s) for s in ["O", "CCO", "CCN"]]
    jobs = [holdfast.SinglePointEnergy(atoms=mol, level_of_theory=GFN2_XTB) for mol in molecules]
    payloads = [job.model_dump() for job in jobs]
    payloads.insert(1, {"job_type": "single_point_energies", "atoms": payloads[0]["atoms"]})

    result = holdfast.submit_batch(payloads)
    assert counts(result) == (4, 3, 1, 0)
    verdicts = [jr["status"] for jr in result["jobs"]]
    assert verdicts == ["submitted", "failed", "submitted", "submitted"]
    for jr in result["jobs"]:
        assert (jr["error"] is None) == (jr["status"] == "submitted")
        assert (jr["job_id"] is None) == (jr["state"] is None) == (jr["status"] == "failed")
    assert result["jobs"][1]["error"].startswith("Invalid job payload: ")

    job_ids = [j["job_id"] for j in result["jobs"] if j["job_id"]]
    left, deadline = list(job_ids), time.monotonic() + 60
    while left:
        assert time.monotonic() < deadline
        done = []
        for jid in left:
            status = holdfast._client_jobs.status(jid)
            if status["state"] in ("done", "failed", "cancelled"):
                done.append(jid)
        for jid in done:
            left.remove(jid)
        time.sleep(0.05)
    for jid, mol in zip(job_ids, molecules, strict=True):
        assert holdfast._client_jobs.result(jid)["energy"] == pytest.approx(
            own_energy(mol.model_dump()), abs=1e-9
        )


@pytest.mark.timeout(600)
def test_a_thousand_clusters_are_computed_on_both_devices_and_never_again(dev: Dev) -> None:
    payloads = clusters(1000, seed=5)
    first = holdfast.submit_batch(payloads)
    assert counts(first) == (1000, 1000, 0, 0)
    ended = holdfast.wait(first, timeout=500)
    assert {status["state"] for status in ended.values()} == {"done"}
    energies = [holdfast._client_jobs.result(jid)["energy"] for jid in ended]
    for number in range(0, 1000, 50):
        own = own_energy(payloads[number].atoms.model_dump())
        assert energies[number] == pytest.approx(own, abs=1e-9)
    computed = dev.sql(
        "SELECT device.name, count(*) FROM job JOIN device ON device.id = job.device_id"
        " WHERE job.id = ANY(%s::uuid[]) GROUP BY 1",
        list(ended),
    )
    assert {name for name, _ in computed} == {"chem-a", "chem-b"}
    assert sum(number for _, number in computed) == 1000

    again = holdfast.submit_batch(payloads)
    assert counts(again) == (1000, 0, 0, 1000)
    assert {entry["state"] for entry in again["jobs"]} == {"done"}
    kept = holdfast._client_jobs.result(again["jobs"][7]["job_id"])
    assert kept["energy"] == energies[7]
    status = holdfast._client_jobs.status(again["jobs"][7]["job_id"])
    assert status["cached_from"] == first["jobs"][7]["job_id"]
    assert status["billed_core_seconds"] == 0


def test_more_than_fit_into_one_call_become_one_report(client: holdfast.Client) -> None:
    payloads = clusters(1200, seed=6)
    seen: list[tuple[int, int]] = []
    report = holdfast.submit_all(payloads, progress=lambda *now: seen.append(now))
    assert counts(report) == (1200, 1200, 0, 0)
    assert seen == [(0, 1200), (1000, 1200), (1200, 1200)]
    ids = [entry["job_id"] for entry in report["jobs"]]
    assert len(set(ids)) == 1200
    assert holdfast._client_jobs.status(ids[1100])["name"] == "cluster 1100"
    client.cancel_batches(list(client.batches(status=["PENDING", "ADMITTED", "RUNNING"])))


def test_a_saved_job_is_found_again_without_a_new_one(dev: Dev, tmp_path: Path) -> None:
    (payload,) = clusters(1, seed=7)
    (entry,) = holdfast.submit_batch([payload])["jobs"]
    Job.load({**entry, "payload": payload.model_dump()}).save(tmp_path / "job.json")
    before = jobs_stored(dev)
    found = Job.load(tmp_path / "job.json")
    energy = found.require_result(60)["energy"]
    assert energy == pytest.approx(own_energy(found.payload["atoms"]), abs=1e-9)
    assert found.state is State.DONE
    assert jobs_stored(dev) == before


def test_a_molecule_is_relaxed_at_the_level_that_was_asked_for() -> None:
    job = holdfast.Optimization(
        atoms=holdfast.Atoms.from_smiles("CO"),
        level_of_theory=holdfast.levels.GFN1_XTB,
        constraints=[holdfast.FreezeAtom(0)],
        fmax=0.02,
    )
    (entry,) = holdfast.submit_batch([job])["jobs"]
    result = Job.load(entry).require_result(60)
    assert result["atoms"]["positions"][0] == job.model_dump()["atoms"]["positions"][0]
    own = own_energy(result["atoms"], "GFN1-xTB")
    assert result["energy"] == pytest.approx(own, abs=1e-9)
    assert own < own_energy(job.atoms.model_dump(), "GFN1-xTB")


def test_what_tblite_cannot_do_fails_the_job_with_its_words() -> None:
    torn = holdfast.Atoms(symbols=["Fe"] * 8, positions=[[0.11 * i, 0, 0] for i in range(8)])
    (entry,) = holdfast.submit_batch([holdfast.SinglePointEnergy(atoms=torn)])["jobs"]
    with pytest.raises(holdfast.JobFailed, match="tblite"):
        Job.load(entry).require_result(60)
