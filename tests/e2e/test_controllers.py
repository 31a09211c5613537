"""Users' own controllers against the real server, whatever is killed, frozen or taken over."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.controller import GRACE_S
from tests.controller.machine import Machine, family_of, left_behind
from tests.e2e.stack import Stack, began, deeds, running_stack
from tests.e2e.test_verify import verified
from tests.waiting import until

LEASE_S, WALL_S = 5, 6
JOBS = 30


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {
        "HOLDFAST_CONTROLLER_LEASE_S": str(LEASE_S),
        "HOLDFAST_CONTROLLER_HEARTBEAT_S": "0.5",
        "HOLDFAST_JOB_WALL_S": str(WALL_S),
    }
    with running_stack(tmp_path_factory.mktemp("stack"), **settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    body = {"name": "machines", "kind": "runner"}
    made = call(stack, "POST", "/v1/keys", json=body)
    return str(made["key"])


@pytest.fixture
def machines(stack: Stack, key: str, tmp_path: Path) -> Iterator["Machines"]:
    made = Machines(stack, key, tmp_path)
    try:
        yield made
    finally:
        made.close()


class Machines:
    """Each name is a machine of its own, with a disk of its own."""

    def __init__(self, stack: Stack, key: str, folder: Path) -> None:
        self._stack, self._key, self._folder = stack, key, folder
        self._made: list[Machine] = []

    def __call__(self, name: str) -> Machine:
        self._made.append(Machine(self._folder / name, self._stack.url, self._key))
        return self._made[-1]

    def close(self) -> None:
        for machine in self._made:
            machine.close()


def call(stack: Stack, method: str, path: str, **body: Any) -> Any:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    answer = httpx.request(method, stack.url + path, headers=headers, timeout=20, **body)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def type_of(stack: Stack, name: str) -> str:
    """The device type of a controller, once it has registered."""

    def of_name() -> list[tuple[Any, ...]]:
        return stack.sql("SELECT device_type FROM controller WHERE name = %s", name)

    until(of_name, 30)
    return str(of_name()[0][0])


def outcomes(stack: Stack, batches: list[str]) -> list[tuple[str, str]]:
    return stack.sql("SELECT id::text, status FROM job WHERE batch_id = ANY(%s::uuid[])", batches)


def are_done(stack: Stack, batches: list[str]) -> bool:
    return {status for _, status in outcomes(stack, batches)} == {"DONE"}


def check_once(stack: Stack, logs: list[Path], batches: list[str], *, most_extra: int) -> None:
    """Each job has one end and one result, of its last run; no run began twice."""
    runs = [run for log in logs for run in began(log)]
    assert len(runs) == len(set(runs)), "a run began twice"
    rows = stack.sql(
        "SELECT job.id::text, job.run, result.run FROM job JOIN result ON result.job_id = job.id"
        " WHERE batch_id = ANY(%s::uuid[])",
        batches,
    )
    assert len(rows) == len(outcomes(stack, batches))
    assert all(run == of_result for _, run, of_result in rows)
    assert {(job, run) for job, run, _ in rows} <= set(runs)
    ends = stack.sql(
        "SELECT job_id FROM event WHERE kind = 'done' AND batch_id = ANY(%s::uuid[])"
        " AND job_id IS NOT NULL",
        batches,
    )
    assert len(ends) == len(set(ends)) == len(rows), "a job ended twice"
    assert len(runs) <= len(rows) + most_extra, "more ran again than was in anybody's hands"


def test_whoever_dies_every_job_is_done_exactly_once(
    stack: Stack, machines: Machines, tmp_path: Path
) -> None:
    """One controller is killed, one is frozen while another process takes its name, and the API
    is killed in between."""
    names = ("ant", "bee", "cat")
    logs = {name: tmp_path / f"{name}.device" for name in names}
    homes = {name: machines(name) for name in names}
    running = {name: home.run(name, "--lanes", "2") for name, home in homes.items()}
    types = {name: type_of(stack, name) for name in names}
    with stack.client() as client:
        batches = [
            client.create_batch(types[name], deeds(JOBS, logs[name], seconds=0.2), lanes=2).id
            for name in names
        ]
    until(lambda: all(len(began(log)) > 4 for log in logs.values()), 30)
    running["ant"].kill()
    running["bee"].send_signal(signal.SIGSTOP)
    frozen = family_of(running["bee"])
    heir = machines("another-bee").run("bee", "--lanes", "2")
    stack.parts["api"].kill()
    running["ant"].wait(10)
    homes["ant"].run("ant", "--lanes", "2")
    stack.parts["api"].start()
    until(lambda: len(began(logs["bee"])) > JOBS // 2, 40)
    running["bee"].send_signal(signal.SIGCONT)
    left_behind(running["bee"], frozen)
    assert running["bee"].returncode == 4
    until(lambda: are_done(stack, batches), 60)
    assert heir.poll() is None
    check_once(stack, list(logs.values()), batches, most_extra=8)
    assert verified(stack)["violations"] == []


def test_a_running_job_is_canceled_and_its_lane_goes_on(
    stack: Stack, machines: Machines, tmp_path: Path
) -> None:
    log = tmp_path / "device"
    machines("dog").run("dog")
    with stack.client() as client:
        batch = client.create_batch(type_of(stack, "dog"), deeds(2, log, seconds=3))
        until(lambda: began(log), 20)
        first = began(log)[0][0]
        call(stack, "POST", f"/v1/jobs/{first}/cancel", json={"interrupt": True})
        until(lambda: client.attach(batch.id).is_over, 30)
    assert sorted(status for _, status in outcomes(stack, [batch.id])) == ["CANCELED", "DONE"]


def test_a_drained_controller_ends_its_job_leaves_and_can_come_back(
    stack: Stack, machines: Machines, tmp_path: Path
) -> None:
    log = tmp_path / "device"
    here = machines("eel")
    process = here.run("eel")
    with stack.client() as client:
        batch = client.create_batch(type_of(stack, "eel"), deeds(2, log, seconds=2))
        until(lambda: began(log), 20)
        call(stack, "POST", "/api/v1/compute-targets/eel/drain")
        assert process.wait(30) == 0
        assert len(began(log)) == 1
        here.run("eel")
        call(stack, "POST", "/api/v1/compute-targets/eel/resume")
        until(lambda: client.attach(batch.id).is_over, 30)
    check_once(stack, [log], [batch.id], most_extra=0)


def test_a_controller_whose_thread_died_leaves_and_its_job_runs_again(
    stack: Stack, machines: Machines, tmp_path: Path
) -> None:
    log = tmp_path / "device"
    here = machines("fox")
    process = here.run("fox", HOLDFAST_FAILPOINTS="worker.ended=raise@1")
    with stack.client() as client:
        batch = client.create_batch(type_of(stack, "fox"), deeds(1, log))
        assert process.wait(30) == 1
        here.run("fox")
        until(lambda: client.attach(batch.id).is_over, 40)
    assert are_done(stack, [batch.id])
    check_once(stack, [log], [batch.id], most_extra=1)


def test_a_lane_that_stands_still_loses_its_job_by_the_deadline(
    stack: Stack, machines: Machines, tmp_path: Path
) -> None:
    """Heartbeats go on for it; the server's deadline does not move. The process then gives up."""
    log = tmp_path / "device"
    process = machines("owl").run("owl", HOLDFAST_FAILPOINTS="worker.ended=sleep(1000)@1")
    with stack.client() as client:
        batch = client.create_batch(type_of(stack, "owl"), deeds(1, log))
        until(lambda: began(log), 20)
        until(lambda: client.attach(batch.id).is_over, WALL_S + GRACE_S + 20)
    ((status, reason),) = stack.sql(
        "SELECT status, reason FROM job WHERE batch_id = %s::uuid", batch.id
    )
    assert (status, "ran past its deadline" in reason) == ("ERROR", True)
    assert process.wait(40) == 1


def test_a_job_goes_on_from_its_checkpoint(
    stack: Stack, machines: Machines, tmp_path: Path
) -> None:
    home = machines("yak")
    process = home.run("yak")
    with stack.client() as client:
        jobs = [{"payload": {"do": "count", "to": 10, "s": 0.4}}]
        batch = client.create_batch(type_of(stack, "yak"), jobs)
        until(lambda: stack.sql("SELECT 1 FROM checkpoint"), 20)
        process.kill()
        process.wait(10)
        home.run("yak")
        until(lambda: client.attach(batch.id).is_over, 40)
    (job,) = outcomes(stack, [batch.id])
    (result,) = stack.sql("SELECT value FROM result WHERE job_id = %s::uuid", job[0])
    assert result[0]["first"] > 0


def test_what_a_job_prints_is_there_for_its_owner(
    stack: Stack, machines: Machines, tmp_path: Path
) -> None:
    """The executor's own log line, that it raised, is what a scripted job prints."""
    machines("gnu").run("gnu")
    with stack.client() as client:
        jobs = [{"payload": {"do": "raise", "reason": "as-printed"}}]
        batch = client.create_batch(type_of(stack, "gnu"), jobs)
        until(lambda: client.attach(batch.id).is_over, 30)
    (job,) = outcomes(stack, [batch.id])
    assert "as-printed" in call(stack, "GET", f"/api/v1/jobs/{job[0]}/logs")["text"]


def test_it_computes_chemistry(stack: Stack, machines: Machines) -> None:
    water = {
        "job_type": "single_point_energy",
        "atoms": {
            "symbols": ["O", "H", "H"],
            "positions": [[0, 0, 0.1173], [0, 0.7572, -0.4692], [0, -0.7572, -0.4692]],
        },
        "level_of_theory": "GFN2-xTB",
    }
    machines("hen").run("hen", "--executor", "xtb")
    with stack.client() as client:
        batch = client.create_batch(type_of(stack, "hen"), [{"payload": water}])
        until(lambda: client.attach(batch.id).is_over, 40)
    (job,) = outcomes(stack, [batch.id])
    assert job[1] == "DONE"
    (result,) = stack.sql("SELECT value FROM result WHERE job_id = %s::uuid", job[0])
    assert result[0]["energy"] == pytest.approx(-5.070370764541, abs=1e-9)
