"""The client of the submit-batch door: what is sent, sent again, put together and found again."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import holdfast
import pytest
from holdfast import Atoms, BadMolecule, Client, NotConfigured, NotInstalled, Optimization
from holdfast.progress import Bar

from tests.unit.test_client_standin import KEY, StandIn, running_stand_in

DOOR = "/api/v1/jobs/submit-batch"
WATER = Atoms(symbols=["O", "H", "H"], positions=[[0, 0, 0], [0, 0.8, -0.5], [0, -0.8, -0.5]])
JOB = holdfast.SinglePointEnergy(atoms=WATER)


@pytest.fixture
def server() -> Iterator[StandIn]:
    with running_stand_in() as server:
        yield server


@pytest.fixture
def client(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr("holdfast.default._client", None)
    with holdfast.configure(KEY, server.url, timeout=10, retries=1) as client:
        yield client


def answer(
    server: StandIn, body: Any, *, method: str = "POST", path: str = DOOR, **how: Any
) -> None:
    server.plan(method, path, **{"status": 200, "body": json.dumps(body).encode(), **how})


def report(jobs: int, **other: int) -> dict[str, Any]:
    counts = {"total": jobs, "submitted": jobs, "failed": 0, "cache_hits": 0, **other}
    entry = {"state": "pending", "status": "submitted", "error": None}
    return {**counts, "jobs": [{"job_id": f"j{n}", **entry} for n in range(jobs)]}


def limits(server: StandIn, **other: int) -> None:
    body = {"max_batch_size": 2, "max_body_bytes": 10**6, **other}
    answer(server, body, method="GET", path="/api/v1/limits")


def sent(server: StandIn) -> list[Any]:
    return [entry for seen in server.seen("POST", DOOR) for entry in seen.body["jobs"]]


def keys(server: StandIn) -> list[str]:
    return [seen.headers["idempotency-key"] for seen in server.seen("POST", DOOR)]


@pytest.mark.usefixtures("client")
def test_objects_and_both_forms_of_payloads_are_sent_as_entries(server: StandIn) -> None:
    answer(server, report(4))
    bare = JOB.model_dump()
    own = {"job": bare, "compute_target": "dgx", "use_cache": False}
    holdfast.submit_batch([JOB, bare, own, {"job": JOB}], "mine")
    mine = {"job": bare, "compute_target": "mine", "use_cache": True}
    assert sent(server) == [mine, mine, own, mine]


@pytest.mark.usefixtures("client")
def test_this_machine_is_asked_for_by_the_name_of_its_controller(
    server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = iter(["local-here"])
    monkeypatch.setattr("holdfast.local.ensure", lambda transport: next(started))
    answer(server, report(3))
    holdfast.submit_batch([JOB, {"job": JOB, "compute_target": "local"}, JOB], "local")
    assert [entry["compute_target"] for entry in sent(server)] == ["local-here"] * 3


@pytest.mark.usefixtures("client")
def test_what_is_no_number_does_not_keep_the_others_from_being_sent(server: StandIn) -> None:
    answer(server, report(2))
    broken = holdfast.SinglePointEnergy(
        atoms=Atoms(symbols=["He"], positions=[[0, 0, float("nan")]])
    )
    holdfast.submit_batch([broken, JOB])
    first, second = sent(server)
    assert first["job"]["atoms"]["positions"] == [[0, 0, "NaN"]]
    assert second["job"] == JOB.model_dump()


@pytest.mark.usefixtures("client")
def test_a_payload_that_json_cannot_hold_is_named() -> None:
    with pytest.raises(TypeError, match=r"payloads\[1\]: object has no JSON form"):
        holdfast.submit_batch([JOB, object()])


@pytest.mark.usefixtures("client")
def test_a_submission_that_is_sent_again_keeps_its_key(server: StandIn) -> None:
    server.plan("POST", DOOR)
    answer(server, report(1))
    assert holdfast.submit_batch([JOB])["submitted"] == 1
    first, second = keys(server)
    assert first == second


@pytest.mark.usefixtures("client")
def test_a_balance_that_is_too_low_has_its_numbers(server: StandIn) -> None:
    problem = {
        "title": "Insufficient balance",
        "required": 7200,
        "available": 200,
        "shortfall": 7000,
    }
    answer(server, problem, status=402)
    with pytest.raises(holdfast.InsufficientBalance) as refused:
        holdfast.submit_batch([JOB])
    assert (refused.value.required, refused.value.available) == (7200, 200)
    assert refused.value.shortfall == 7000


def test_a_rate_limit_says_when_to_come_back(server: StandIn) -> None:
    answer(server, {"detail": "2 a minute"}, status=429, headers={"Retry-After": "17"})
    with (
        Client(server.url, KEY, retries=0) as hasty,
        pytest.raises(holdfast.RateLimited) as refused,
    ):
        hasty.compute.submit_batch([JOB])
    assert refused.value.retry_after == 17


def test_more_than_the_server_takes_at_once_goes_in_parts_with_one_report(server: StandIn) -> None:
    limits(server)
    for size in (2, 2, 1):
        answer(server, report(size, cache_hits=1))
    seen: list[tuple[int, int]] = []
    with Client(server.url, KEY) as client:
        joined = client.compute.submit_all([JOB] * 5, progress=lambda *now: seen.append(now))
    assert (joined["total"], joined["cache_hits"], len(joined["jobs"])) == (5, 3, 5)
    assert [len(each.body["jobs"]) for each in server.seen("POST", DOOR)] == [2, 2, 1]
    assert len(set(keys(server))) == 3
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]


def test_the_bytes_of_a_part_stay_within_the_limit(server: StandIn) -> None:
    limits(server, max_batch_size=100, max_body_bytes=700)
    for _ in range(3):
        answer(server, report(2))
    with Client(server.url, KEY) as client:
        client.compute.submit_all([JOB] * 6)
    sizes = [int(each.headers["content-length"]) for each in server.seen("POST", DOOR)]
    assert len(sizes) == 3
    assert max(sizes) <= 700


def test_a_rate_limit_between_parts_is_waited_out_under_the_same_key(server: StandIn) -> None:
    limits(server)
    answer(server, {}, status=429, headers={"Retry-After": "0"})
    answer(server, report(1))
    with Client(server.url, KEY, retries=0) as client:
        assert client.compute.submit_all([JOB])["total"] == 1
    first, second = keys(server)
    assert first == second


def test_a_submission_that_breaks_off_says_how_to_go_on(server: StandIn) -> None:
    limits(server)
    answer(server, report(2))
    answer(server, {"detail": "no credits"}, status=402)
    with Client(server.url, KEY) as client, pytest.raises(holdfast.InsufficientBalance) as refused:
        client.compute.submit_all([JOB] * 3, idempotency_key="mine")
    (note,) = refused.value.__notes__
    assert "2 of 3 payloads had been answered" in note
    assert "idempotency_key='mine'" in note
    assert keys(server) == ["mine-0", "mine-1"]


@pytest.mark.usefixtures("client")
def test_a_saved_job_is_found_again_and_never_submitted_again(
    server: StandIn, tmp_path: Path
) -> None:
    where = "/api/v1/jobs/j1"
    for state in ("pending", "running", "done"):
        answer(server, {"job_id": "j1", "state": state, "error": None}, method="GET", path=where)
    holdfast.Job.load({"job_id": "j1", "state": "pending"}).save(tmp_path / "job.json")
    again = holdfast.Job.load(tmp_path / "job.json")
    assert again["state"] == "running"
    assert again.state is holdfast.state.State.RUNNING
    answer(server, {"energy": -5.0}, method="GET", path=f"{where}/result")
    assert again.require_result() == {"energy": -5.0}
    before = len(server.requests)
    assert holdfast.Job.load(again.snapshot()).require_result() == {"energy": -5.0}
    assert len(server.requests) == before
    assert {seen.method for seen in server.requests} == {"GET"}
    assert KEY not in (tmp_path / "job.json").read_text()


@pytest.mark.usefixtures("client")
def test_a_snapshot_of_another_server_does_not_get_the_key() -> None:
    with pytest.raises(NotConfigured, match=r"https://elsewhere\.example"):
        holdfast.Job.load({"job_id": "j1", "base_url": "https://elsewhere.example"})


@pytest.mark.usefixtures("client")
def test_a_file_that_is_no_snapshot_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"job_id": "j1"}')
    with pytest.raises(ValueError, match="schema"):
        holdfast.Job.load(tmp_path / "other.json")


@pytest.mark.usefixtures("client")
def test_a_job_that_failed_says_why_when_its_result_is_required(server: StandIn) -> None:
    said = {"job_id": "j1", "state": "failed", "error": "tblite: no luck"}
    answer(server, said, method="GET", path="/api/v1/jobs/j1")
    with pytest.raises(holdfast.JobFailed, match="tblite: no luck"):
        holdfast.Job.load({"job_id": "j1"}).require_result()


def test_jobs_are_listed_page_by_page_up_to_the_number_wanted(server: StandIn) -> None:
    for page, cursor in ((["a", "b"], "c1"), (["c", "d"], None)):
        body = {"jobs": page, "has_more": cursor is not None, "next_cursor": cursor}
        answer(server, body, method="GET", path="/api/v1/jobs")
    with Client(server.url, KEY) as client:
        listed: list[Any] = list(client.compute.iter_jobs(2, max_jobs=3))
    assert listed == ["a", "b", "c"]
    assert server.seen("GET", "/api/v1/jobs")[1].query == {"limit": ["2"], "cursor": ["c1"]}


@pytest.mark.parametrize(
    ("smiles", "formula", "charge", "multiplicity"),
    [
        ("O", "HHO", 0, 1),
        ("CCO", "CCHHHHHHO", 0, 1),
        ("[NH4+]", "HHHHN", 1, 1),
        ("[CH3]", "CHHH", 0, 2),
    ],
)
def test_a_molecule_is_made_from_smiles(
    smiles: str, formula: str, charge: int, multiplicity: int
) -> None:
    atoms = Atoms.from_smiles(smiles)
    assert "".join(sorted(atoms.symbols)) == formula
    assert (atoms.charge, atoms.multiplicity) == (charge, multiplicity)
    assert Atoms.from_smiles(smiles) == atoms


@pytest.mark.parametrize("smiles", ["", "C(", "C1=CC=CC=C1C#C1"])
def test_what_is_no_smiles_is_refused(smiles: str) -> None:
    with pytest.raises(BadMolecule, match="not a SMILES"):
        Atoms.from_smiles(smiles)


def test_a_molecule_without_a_geometry_is_refused() -> None:
    with pytest.raises(BadMolecule, match="no 3D geometry"):
        Atoms.from_smiles("[C@]12([C@@]3([C@]1(C23)F)F)F")


def test_without_rdkit_the_text_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(NotInstalled, match=r"pip install 'holdfast\[chem\]'"):
        Atoms.from_smiles("O")


def test_an_optimization_dumps_its_constraints() -> None:
    job = Optimization(
        atoms=WATER,
        constraints=[holdfast.FreezeAtom(0), holdfast.ConstrainBond([0, 1], 0.9)],
    )
    assert job.model_dump()["constraints"] == [
        {"kind": "freeze_atom", "atom": 0},
        {"kind": "bond", "atoms": [0, 1], "value": 0.9},
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else() -> None:
    for out, drawn in ((Terminal(), True), (io.StringIO(), False)):
        with Bar(None, "done", out) as bar:
            bar.show(1, 2)
        assert ("done " in out.getvalue() and "1/2" in out.getvalue()) == drawn
