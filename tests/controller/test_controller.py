"""What a controller does when the server, the network or its own machine misbehaves."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controller.machine import Machine, family_of, left_behind, machine
from tests.controller.standin import Answer, Standin, standing_in
from tests.e2e.stack import began
from tests.waiting import until


@pytest.fixture
def server() -> Iterator[tuple[Standin, str]]:
    with standing_in() as server:
        yield server


@pytest.fixture
def standin(server: tuple[Standin, str]) -> Standin:
    return server[0]


@pytest.fixture
def here(tmp_path: Path, server: tuple[Standin, str]) -> Iterator[Machine]:
    with machine(tmp_path / "here", server[1]) as here:
        yield here


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """The executor's own record of what it began and ended."""
    return tmp_path / "device.log"


def deed(device: Path, *, seconds: float = 0.0, do: str = "sleep") -> dict[str, object]:
    return {"do": do, "s": seconds, "log": str(device)}


def test_lost_answers_begin_nothing_twice_and_lose_no_end(
    standin: Standin, here: Machine, device: Path
) -> None:
    """The first answer to each kind of call is lost on its way."""
    lost: set[str] = set()

    def odd(path: str, body: object) -> Answer | None:
        verb = path.rsplit("/", 1)[-1]
        if verb == "register" or verb in lost:
            return None
        lost.add(verb)
        return 0, {}

    standin.odd = odd
    standin.offer("a", deed(device))
    standin.offer("b", deed(device))
    here.run("dgx")
    until(lambda: len(standin.ends) == 2, 20)
    assert lost >= {"acquire", "start", "heartbeat", "complete"}
    assert began(device) == [("a", 1), ("b", 1)]
    assert {end["outcome"] for end in standin.ends.values()} == {"done"}
    assert standin.ends["a.1"]["usage"]["wall_s"] > 0


def test_a_result_outlives_its_process(standin: Standin, here: Machine, device: Path) -> None:
    """Killed before the server took the end: the next process tells it, and runs nothing again."""
    standin.odd = lambda path, body: (503, {}) if path.endswith("/complete") else None
    standin.offer("a", deed(device))
    first = here.run("dgx")
    until(lambda: began(device) and standin.calls["start"] and "not told yet" in here.log("dgx"))
    first.kill()
    first.wait(10)
    standin.odd = lambda path, body: None
    here.run("dgx")
    until(lambda: "a.1" in standin.ends, 20)
    assert standin.ends["a.1"]["outcome"] == "done"
    assert began(device) == [("a", 1)]


def test_a_job_that_its_process_left_unfinished_is_told_as_lost(
    standin: Standin, here: Machine, device: Path
) -> None:
    standin.offer("a", deed(device, seconds=60))
    first = here.run("dgx")
    until(lambda: began(device), 20)
    family = family_of(first)
    first.kill()
    left_behind(first, family)
    here.run("dgx")
    until(lambda: "a.1" in standin.ends, 20)
    assert standin.ends["a.1"]["error"]["class"] == "infrastructure"
    assert began(device) == [("a", 1)]


def test_whoever_lost_the_name_kills_its_job_and_exits_with_4(
    standin: Standin, here: Machine, device: Path
) -> None:
    standin.offer("a", deed(device, seconds=60, do="ignore-signals"))
    zombie = here.run("dgx")
    until(lambda: began(device), 20)
    family = family_of(zombie)
    standin.session += 1
    left_behind(zombie, family)
    assert zombie.returncode == 4
    assert standin.ends == {}


def test_a_job_is_killed_when_the_lease_cannot_be_renewed(
    standin: Standin, here: Machine, device: Path
) -> None:
    """The process lives on, and says so when the server is back."""
    standin.offer("a", deed(device, seconds=60, do="ignore-signals"))
    process = here.run("dgx")
    until(lambda: began(device) and standin.calls["heartbeat"], 20)
    executor = next(p for p in family_of(process) if "workers.executors.host" in p.cmdline())
    standin.odd = lambda path, body: (503, {})
    until(lambda: not executor.is_running(), 15)
    assert process.poll() is None
    standin.odd = lambda path, body: None
    until(lambda: "a.1" in standin.ends, 20)
    assert standin.ends["a.1"]["error"]["class"] == "infrastructure"


def test_a_frozen_controller_s_job_dies_with_the_lease(
    standin: Standin, here: Machine, device: Path
) -> None:
    standin.offer("a", deed(device, seconds=60, do="ignore-signals"))
    process = here.run("dgx")
    until(lambda: began(device) and standin.calls["heartbeat"], 20)
    executor = next(p for p in family_of(process) if "workers.executors.host" in p.cmdline())
    process.send_signal(signal.SIGSTOP)
    until(lambda: executor.status() == "zombie", 15)


def test_a_dead_lane_takes_the_process_down(standin: Standin, here: Machine, device: Path) -> None:
    """Nobody is told that work goes on which nobody does."""
    standin.offer("a", deed(device))
    process = here.run("dgx", HOLDFAST_FAILPOINTS="worker.ended=raise@1")
    until(lambda: began(device), 20)
    left_behind(process, family_of(process) if process.poll() is None else [])
    assert process.returncode == 1
    assert "the thread lane-0 died" in here.log("dgx")


def test_a_cancel_stops_the_job(standin: Standin, here: Machine, device: Path) -> None:
    standin.offer("a", deed(device, seconds=60))
    here.run("dgx")
    until(lambda: began(device) and "a.1" in standin.spoken_for, 20)
    standin.verdicts["a.1"] = "cancel"
    until(lambda: "a.1" in standin.ends, 20)
    assert standin.ends["a.1"]["outcome"] == "cancelled"


def test_what_is_another_s_now_is_killed_and_not_spoken_of(
    standin: Standin, here: Machine, device: Path
) -> None:
    standin.offer("a", deed(device, seconds=60, do="ignore-signals"))
    here.run("dgx")
    until(lambda: began(device) and "a.1" in standin.spoken_for, 20)
    standin.verdicts["a.1"] = "lost"
    standin.offer("b", deed(device))
    until(lambda: "b.1" in standin.ends, 20)
    assert "a.1" not in standin.ends


def test_a_job_over_its_wall_limit_is_at_fault(
    standin: Standin, here: Machine, device: Path
) -> None:
    standin.offer("a", deed(device, seconds=60), wall_s=0.3)
    here.run("dgx")
    until(lambda: "a.1" in standin.ends, 20)
    assert standin.ends["a.1"]["error"] == {
        "class": "user",
        "message": "exceeded its wall limit of 0.3 s",
    }


def test_a_refused_result_becomes_an_error_that_says_so(
    standin: Standin, here: Machine, device: Path
) -> None:
    def odd(path: str, body: bytes) -> Answer | None:
        if path.endswith("/complete") and b'"done"' in body:
            return 413, {"detail": "too large"}
        return None

    standin.odd = odd
    standin.offer("a", deed(device))
    here.run("dgx")
    until(lambda: "a.1" in standin.ends, 20)
    assert "too large" in standin.ends["a.1"]["error"]["message"]


def test_sigterm_ends_the_job_after_its_grace_and_leaves_no_process(
    standin: Standin, here: Machine, device: Path
) -> None:
    standin.offer("a", deed(device, seconds=60, do="ignore-signals"))
    process = here.run("dgx", "--stop-s", "0.5")
    until(lambda: began(device), 20)
    family = family_of(process)
    process.terminate()
    left_behind(process, family)
    assert process.returncode == 0
    assert standin.ends["a.1"]["error"]["message"] == (
        "the controller was stopped while the job ran"
    )
    assert standin.calls["deregister"] == 1


def test_drain_ends_what_runs_and_takes_no_more(
    standin: Standin, here: Machine, device: Path
) -> None:
    standin.offer("a", deed(device, seconds=60))
    process = here.run("dgx")
    until(lambda: [job["job_id"] for job in here.said("dgx").get("running", [])] == ["a"], 20)
    until(lambda: "a.1" in standin.spoken_for, 20)
    assert here.command("drain", "dgx").returncode == 0
    assert process.poll() is None
    standin.offer("b", deed(device))
    standin.verdicts["a.1"] = "cancel"
    assert process.wait(20) == 0
    assert standin.ends["a.1"]["outcome"] == "cancelled"
    assert began(device) == [("a", 1)]


def test_a_server_that_says_draining_lets_the_controller_go(
    standin: Standin, here: Machine
) -> None:
    standin.state = "draining"
    assert here.run("dgx").wait(20) == 0


def test_a_second_one_of_the_name_on_this_machine_is_refused(
    standin: Standin, here: Machine
) -> None:
    here.run("dgx")
    until(lambda: here.said("dgx").get("state") == "online", 20)
    second = here.command("run", "dgx", "--url", here.url, "--executor", "scripted")
    assert (second.returncode, "on this machine already" in second.stderr) == (1, True)
    assert standin.session == 1


def test_settings_are_tried_and_kept_for_their_owner_alone(
    standin: Standin, here: Machine, device: Path
) -> None:
    """What was registered needs no more words to run, and shows what it does."""
    options = ("--name", "dgx", "--url", here.url, "--executor", "scripted", "--lanes", "1")
    made = here.command("register", *options)
    assert made.returncode == 0, made.stderr
    assert (here.folder / "dgx" / "config.json").stat().st_mode & 0o077 == 0
    assert (standin.session, standin.calls["deregister"]) == (1, 1)
    standin.offer("a", deed(device, seconds=60))
    here.env.pop("HOLDFAST_RUNNER_KEY")
    here.start("dgx")
    until(lambda: began(device), 20)
    until(lambda: "a" in here.command("status", "--json").stdout, 20)


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("--name", "Managed!"), 2, "name"),
        (("--name", "managed"), 2, "taken by the server"),
        (("--url", "ftp://x"), 2, "https://"),
        (("--lanes", "1000"), 2, "lanes"),
        (("--slots", "spe"), 2, "TYPE=N"),
        (("--executor", "abacus"), 2, "abacus"),
        (("--url", "http://127.0.0.1:9"), 5, "no answer"),
    ],
)
def test_what_cannot_work_is_not_kept(
    here: Machine, words: tuple[str, ...], status: int, told: str
) -> None:
    base = ("--name", "dgx", "--url", here.url, "--executor", "scripted")
    made = here.command("register", *base, *words)
    assert made.returncode == status
    assert told in made.stderr and "rn_" not in made.stderr
    assert list(here.folder.glob("*/config.json")) == []
