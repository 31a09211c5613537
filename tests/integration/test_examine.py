"""What the API says of sequences before it accepts them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pulser.backend import BitStrings, EmulationConfig
from pulser.devices import AnalogDevice, MockDevice

from orchestrator.physics.child import Physics
from orchestrator.services.core import Core
from orchestrator.store import catalog, devices
from orchestrator.store.catalog import DeviceType
from orchestrator.store.listings_reading import reading
from tests.integration.api_stack import Api, add_device, counts, serving
from tests.sequences import FRESNEL, one_pulse


@pytest.fixture(scope="module")
def physics() -> Iterator[Physics]:
    """One for all tests: it takes seconds to start."""
    made = Physics()
    yield made
    made.close()


@pytest.fixture
def api(core: Core, physics: Physics) -> Iterator[Api]:
    add_device(core, "emu-1", "EMU_FREE", "pulser")
    add_device(core, "qpu-1", "FRESNEL", "pulser")
    with serving(replace(core, physics=physics)) as running:
        yield running


def body(sequence: Any = None, *jobs: Any, kind: str = "EMU_FREE", **more: Any) -> dict[str, Any]:
    return {"device_type": kind, "sequence": sequence, "jobs": list(jobs or [{}]), **more}


def flaws(api: Api, given: Any, path: str = "/v1/batches") -> dict[str, str]:
    """Of a call that is refused, and leaves nothing behind."""
    before = counts(api.core)
    answer = api.call("POST", path, given)
    assert answer.status_code == 422, answer.text
    assert counts(api.core) == before
    return {flaw["field"]: flaw["message"] for flaw in answer.json()["errors"]}


def omega(value: float) -> dict[str, Any]:
    return {"runs": 10, "variables": {"omega": value}}


def test_a_sequence_that_the_device_cannot_play_is_refused(api: Api) -> None:
    found = flaws(api, body(one_pulse(MockDevice), kind="FRESNEL"))
    assert "does not fit FRESNEL" in found["sequence"]


def test_the_job_whose_variable_is_out_of_bounds_is_named(api: Api) -> None:
    sequence = one_pulse(FRESNEL, amplitude=None)
    found = flaws(api, body(sequence, omega(1), omega(1000), kind="FRESNEL"))
    assert list(found) == ["jobs[1].variables.omega"]


def test_the_runs_that_a_processor_allows_are_those_of_its_spec(api: Api) -> None:
    found = flaws(api, body(one_pulse(FRESNEL), {"runs": 2001}, kind="FRESNEL"))
    assert "at most 2000" in found["jobs[0].runs"]


def test_more_atoms_than_the_device_runs_are_refused(api: Api) -> None:
    assert (
        "has 15 atoms: this device runs up to 14"
        in (flaws(api, body(one_pulse(atoms=15)))["sequence.register"])
    )


def test_of_a_mappable_register_only_the_placed_atoms_count(api: Api) -> None:
    def placed(atoms: int) -> dict[str, Any]:
        return {"variables": {"qubits": {f"q{n}": 2 * n for n in range(atoms)}}}

    sequence = one_pulse(mappable=True)
    api.post("/v1/batches", body(sequence, placed(14)))
    found = flaws(api, body(sequence, placed(2), placed(15)))
    assert "has 15 atoms" in found["jobs[1].variables.qubits"]


def test_a_wrong_config_is_refused(api: Api) -> None:
    config = json.loads(EmulationConfig(observables=[BitStrings()]).to_abstract_repr())
    config["observables"] = 3
    found = flaws(api, body(one_pulse(), payload={"backend_configuration": json.dumps(config)}))
    assert "3 is not of type 'array'" in found["payload.backend_configuration"]


def test_jobs_may_bring_sequences_and_the_batch_none(api: Api) -> None:
    own = {"runs": 5, "sequence": one_pulse()}
    made = api.post("/v1/batches", body(None, own, own))
    assert made["jobs_total"] == 2
    found = flaws(api, body(None, own, {"runs": 5}))
    assert found == {"jobs[1].sequence": "is missing: the batch has none for all its jobs"}


def test_without_any_sequence_there_is_nothing_to_run(api: Api) -> None:
    assert "is missing" in flaws(api, body(None, {}, {}))["sequence"]


def test_an_open_batch_may_wait_for_jobs_with_sequences(api: Api) -> None:
    made = api.post("/v1/batches", {"device_type": "EMU_FREE", "open": True})
    path = f"/v1/batches/{made['id']}/jobs"
    api.post(path, {"jobs": [{"sequence": one_pulse()}]})
    assert "is missing" in flaws(api, {"jobs": [{"runs": 5}]}, path)["sequence"]


def test_a_jobs_own_sequence_is_named_by_its_place(api: Api) -> None:
    found = flaws(api, body(one_pulse(), {}, {"sequence": "{}"}))
    assert "it lacks channels" in found["jobs[1].sequence"]
    own = {"sequence": one_pulse(MockDevice)}
    found = flaws(api, body(one_pulse(FRESNEL), {}, own, kind="FRESNEL"))
    assert "does not fit FRESNEL" in found["jobs[1].sequence"]


def test_appended_jobs_are_built_with_their_variables(api: Api) -> None:
    given = body(one_pulse(FRESNEL, amplitude=None), omega(1), kind="FRESNEL", open=True)
    path = f"/v1/batches/{api.post('/v1/batches', given)['id']}/jobs"
    api.post(path, {"jobs": [omega(2)]})
    assert list(flaws(api, {"jobs": [omega(3), omega(1000)]}, path)) == ["jobs[1].variables.omega"]


def test_a_call_that_is_told_again_is_not_examined_again(api: Api, core: Core) -> None:
    headers = {"Idempotency-Key": "one"}
    given = body(one_pulse(AnalogDevice), kind="FRESNEL")
    first = api.call("POST", "/v1/batches", given, headers=headers)
    with core.transaction() as tx:
        catalog.define(tx, DeviceType("FRESNEL", "pulser", max_qubits=1))
    assert "has 3 atoms" in str(flaws(api, given))
    again = api.call("POST", "/v1/batches", given, headers=headers)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert again.headers["Idempotency-Replayed"] == "true"


def test_jobs_of_other_executors_start_no_checker(core: Core) -> None:
    add_device(core, "dev-1")
    with serving(core) as api:
        api.batch(3)
        api.post("/v1/batches", {"device_type": "TEST", "jobs": [{"variables": {"omega": 1}}]})
    assert core.physics.pid is None


def test_a_type_without_a_spec_of_its_own_gets_the_built_in_one(core: Core) -> None:
    with core.transaction() as tx:
        catalog.define(tx, DeviceType("FRESNEL", "pulser", 7))
        devices.register(tx, "qpu-1", "FRESNEL", "pulser")
        found = catalog.device_type(tx, "FRESNEL")
    assert found is not None
    assert found.spec == FRESNEL.to_abstract_repr()
    assert (found.max_runs, found.public) == (7, True)


def test_what_the_operator_defined_stays(core: Core) -> None:
    defined = DeviceType("FRESNEL", "pulser", 7, MockDevice.to_abstract_repr(), False, 5)
    with core.transaction() as tx:
        catalog.define(tx, defined)
        devices.register(tx, "qpu-1", "FRESNEL", "scripted")
        assert catalog.device_type(tx, "FRESNEL") == defined


def test_only_types_that_have_a_device_show_their_spec(core: Core) -> None:
    add_device(core, "emu-1", "EMU_FREE", "pulser")
    add_device(core, "dev-1")
    with core.transaction() as tx:
        catalog.meet(tx, "FRESNEL", "pulser")
        catalog.define(tx, DeviceType("LAB", "pulser", None, MockDevice.to_abstract_repr()))
        devices.register(tx, "lab-1", "LAB", "pulser")
    with reading(core.engine) as connection:
        assert list(catalog.specs(connection, public_only=True)) == ["EMU_FREE"]
        assert list(catalog.specs(connection, public_only=False)) == ["EMU_FREE", "LAB"]


def test_a_sequences_device_means_the_type_of_that_name_or_spec(core: Core) -> None:
    add_device(core, "emu-1", "EMU_SV", "pulser")
    add_device(core, "qpu-1", "FRESNEL", "pulser")
    with core.transaction() as tx:
        catalog.meet(tx, "EMU_FREE", "pulser")
    with reading(core.engine) as connection:
        assert catalog.type_for_spec_name(connection, "FRESNEL") == "FRESNEL"
        assert catalog.type_for_spec_name(connection, "EMU_FREE") == "EMU_FREE"
        assert catalog.type_for_spec_name(connection, "MockDevice") == "EMU_SV"
        assert catalog.type_for_spec_name(connection, "AnalogDevice") is None
