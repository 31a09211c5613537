"""The command line: what is printed where, and what the exit codes say."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from holdfast import Client
from typer.testing import CliRunner, Result

from orchestrator.commands import register_all
from tests.unit.test_client_standin import KEY, StandIn, running_stand_in

Run = Callable[..., Result]
NOBODY = "00000000-0000-0000-0000-000000000000"


def app() -> typer.Typer:
    made = typer.Typer(pretty_exceptions_enable=False)
    register_all(made)
    return made


@pytest.fixture
def server() -> Iterator[StandIn]:
    with running_stand_in() as server:
        yield server


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in an empty folder that knows of no server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_URL", raising=False)
    monkeypatch.delenv("HOLDFAST_API_KEY", raising=False)

    def run(*words: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app(), list(words), input=stdin)

    return run


@pytest.fixture
def run(bare: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("HOLDFAST_URL", server.url)
    monkeypatch.setenv("HOLDFAST_API_KEY", KEY)
    return bare


@pytest.fixture
def client(server: StandIn) -> Iterator[Client]:
    with Client(server.url, KEY) as client:
        yield client


def batch_file(**more: Any) -> str:
    Path("batch.json").write_text(json.dumps({"device_type": "A", "jobs": [{"runs": 1}], **more}))
    return "batch.json"


def test_a_submitted_file_becomes_a_batch(run: Run, server: StandIn) -> None:
    result = run("submit", batch_file(name="mine"), "--json")
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert (shown["id"], shown["name"]) == (next(iter(server.model.batches)), "mine")


def test_a_list_of_jobs_on_stdin_is_enough(run: Run) -> None:
    result = run("submit", "-", "--device-type", "B", "--open", "--json", stdin='[{"runs": 5}]')
    shown = json.loads(result.stdout)
    assert (shown["device_type"], shown["open"], shown["jobs_total"]) == ("B", True, 1)


def test_options_win_over_the_file(run: Run) -> None:
    result = run("submit", batch_file(name="a"), "--name", "b", "--tag", "x", "--json")
    shown = json.loads(result.stdout)
    assert (shown["name"], shown["tags"]) == ("b", ["x"])


def test_a_refused_field_is_named_on_stderr(run: Run) -> None:
    result = run("submit", batch_file(jobs=[{"runs": 0}]), "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "jobs[0].runs" in result.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "is not JSON"), ('{"jobs": [{"x": NaN}]}', "NaN"), ("3", "a batch is a JSON object")],
)
def test_a_file_that_is_no_batch_is_wrong_usage(run: Run, text: str, said: str) -> None:
    result = run("submit", "-", stdin=text)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_file_that_is_not_there_is_wrong_usage(run: Run) -> None:
    result = run("submit", "nowhere.json")
    assert result.exit_code == 2
    assert "nowhere.json: No such file" in result.stderr


def test_waiting_for_a_batch_that_is_done_ends_well(run: Run, server: StandIn) -> None:
    server.when_streamed(1, server.model.run_everything)
    result = run("submit", batch_file(), "--wait", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["status"] == "DONE"
    assert "PENDING 0/1" in result.stderr


def test_waiting_for_a_batch_that_is_canceled_ends_with_its_own_code(
    run: Run, client: Client
) -> None:
    batch = client.create_batch("A", [{}]).cancel()
    result = run("watch", batch.id)
    assert result.exit_code == 3
    assert "CANCELED" in result.stdout


def test_waiting_for_an_open_batch_is_refused_before_it_is_made(run: Run, server: StandIn) -> None:
    result = run("submit", batch_file(open=True), "--wait")
    assert result.exit_code == 2
    assert server.model.batches == {}


def test_a_watch_shows_which_jobs_failed_and_why(run: Run, server: StandIn, client: Client) -> None:
    client.create_batch("A", [{}])
    server.model.end_job(next(iter(server.model.jobs.values())), "ERROR", reason="out of atoms")
    result = run("watch", *server.model.batches)
    assert result.exit_code == 0
    assert "out of atoms" in result.stdout


def test_a_watch_that_takes_too_long_is_told(run: Run, client: Client) -> None:
    result = run("watch", client.create_batch("A", [{}]).id, "--timeout", "0.1")
    assert result.exit_code == 1
    assert "not over after 0.1 s" in result.stderr


def test_jobs_are_added_to_an_open_batch(run: Run, client: Client) -> None:
    batch = client.create_batch("A", [], open=True)
    result = run("add", batch.id, "-", "--json", stdin='[{"runs": 1}, {"runs": 2}]')
    assert [job["ordinal"] for job in json.loads(result.stdout)] == [1, 2]


def test_batches_are_listed_the_newest_first_up_to_the_limit(run: Run, client: Client) -> None:
    made = [client.create_batch("A", [{}]).id for _ in range(3)]
    shown = json.loads(run("batches", "--limit", "2", "--json").stdout)
    assert [batch["id"] for batch in shown] == [made[2], made[1]]


def test_a_table_shows_whole_ids_even_in_a_pipe(run: Run, client: Client) -> None:
    batch = client.create_batch("A", [{}], name="[red]not markup[/red]\x1b[31m")
    shown = run("batches").stdout
    assert batch.id in shown
    assert "[red]not markup[/red]" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("command", ["batch", "watch", "close", "revive", "rebatch", "results"])
def test_what_is_not_there_has_its_own_code(run: Run, command: str) -> None:
    result = run(command, NOBODY)
    assert (result.exit_code, result.stdout) == (4, "")
    assert NOBODY in result.stderr


def test_canceling_says_what_became_of_each(run: Run, client: Client) -> None:
    batch = client.create_batch("A", [{}])
    result = run("cancel", batch.id, NOBODY, "--json")
    verdicts = [each["verdict"] for each in json.loads(result.stdout)]
    assert (result.exit_code, verdicts) == (4, ["canceled", "not_found"])


def test_a_rebatch_takes_only_the_jobs_that_failed(
    run: Run, server: StandIn, client: Client
) -> None:
    batch = client.create_batch("A", [{"runs": 1}, {"runs": 2}])
    server.model.end_job(next(iter(server.model.jobs.values())), "ERROR", reason="x")
    shown = json.loads(run("rebatch", batch.id, "--status", "ERROR", "--json").stdout)
    assert (shown["parent_id"], shown["jobs_total"]) == (batch.id, 1)


def test_a_batch_is_closed_and_a_canceled_one_revived(run: Run, client: Client) -> None:
    batch = client.create_batch("A", [{}], open=True)
    assert json.loads(run("close", batch.id, "--json").stdout)["open"] is False
    batch.cancel()
    assert "PENDING" in run("revive", batch.id).stdout


def test_jobs_are_listed_by_status(run: Run, server: StandIn, client: Client) -> None:
    batch = client.create_batch("A", [{}, {}])
    job = next(iter(server.model.jobs.values()))
    server.model.end_job(job, "ERROR", reason="x")
    shown = json.loads(run("jobs", batch.id, "--status", "ERROR", "--json").stdout)
    assert [each["id"] for each in shown] == [str(job.id)]


def test_a_job_is_shown_retried_and_canceled(run: Run, client: Client) -> None:
    job = client.create_batch("A", [{"runs": 7}], open=True).jobs()[0]
    assert job.id in run("job", job.id).stdout
    assert json.loads(run("retry", job.id, "--json").stdout)[0]["runs"] == 7
    assert json.loads(run("cancel-job", job.id, "--json").stdout)[0]["verdict"] == "canceled"


def test_a_result_that_is_not_there_says_how_to_wait(run: Run, client: Client) -> None:
    job = client.create_batch("A", [{}]).jobs()[0]
    result = run("result", job.id)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "--wait" in result.stderr


def test_a_result_is_printed_as_json(run: Run, server: StandIn, client: Client) -> None:
    job = client.create_batch("A", [{}]).jobs()[0]
    server.when_streamed(1, server.model.run_everything)
    assert json.loads(run("result", job.id, "--wait").stdout) == {"ordinal": 1}
    results = json.loads(run("results", job.batch_id, "--json").stdout)
    assert [each["value"] for each in results] == [{"ordinal": 1}]


def test_a_device_is_paused_with_a_reason_and_resumed(run: Run) -> None:
    assert "laser" in run("pause", "emu-1", "--reason", "laser").stdout
    assert json.loads(run("resume", "emu-1", "--json").stdout)["status"] == "ONLINE"
    assert json.loads(run("devices", "--json").stdout)[0]["name"] == "emu-1"


def test_a_pause_without_a_reason_is_wrong_usage(run: Run) -> None:
    assert run("pause", "emu-1").exit_code == 2


def test_a_new_key_is_alone_on_stdout_and_never_listed(run: Run) -> None:
    key = run("keys", "create", "ci", "--scope", "read").stdout.strip()
    listed = run("keys", "list", "--json").stdout
    assert key.startswith("av_")
    assert key not in listed
    revoked = run("keys", "revoke", json.loads(listed)[0]["id"])
    assert revoked.exit_code == 0


def test_events_tell_the_story_of_a_batch(run: Run, server: StandIn, client: Client) -> None:
    batch = client.create_batch("A", [{}])
    server.model.run_all(batch.id)
    kinds = [event["kind"] for event in json.loads(run("events", batch.id, "--json").stdout)]
    assert kinds == ["batch.pending", "job.done", "batch.done"]


def test_the_ready_file_of_a_dev_stack_is_found(bare: Run, server: StandIn) -> None:
    Path(".holdfast").mkdir()
    ready = {"base_url": server.url, "api_key": KEY}
    Path(".holdfast/ready.json").write_text(json.dumps(ready))
    assert bare("devices").exit_code == 0


def test_a_key_for_one_server_never_goes_to_that_of_the_ready_file(
    bare: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".holdfast").mkdir()
    Path(".holdfast/ready.json").write_text(json.dumps({"base_url": server.url, "api_key": "x"}))
    monkeypatch.setenv("HOLDFAST_API_KEY", KEY)
    result = bare("devices")
    assert (result.exit_code, server.requests) == (2, [])
    assert "HOLDFAST_URL" in result.stderr


def test_without_any_server_it_is_said_how_to_get_one(bare: Run) -> None:
    result = bare("batches")
    assert result.exit_code == 2
    assert "holdfast dev" in result.stderr


def test_a_server_that_is_not_there_has_its_own_code(bare: Run) -> None:
    result = bare("batches", "--url", "http://127.0.0.1:9", "--api-key", KEY)
    assert result.exit_code == 5
    assert "http://127.0.0.1:9" in result.stderr
    assert KEY not in result.output


def test_a_wrong_key_is_refused_and_not_repeated(run: Run) -> None:
    result = run("batches", "--api-key", "av_wrong-secret")
    assert result.exit_code == 1
    assert "av_wrong-secret" not in result.output


def words_of(app: typer.Typer, *before: str) -> Iterator[tuple[str, ...]]:
    for command in app.registered_commands:
        yield *before, str(command.name or getattr(command.callback, "__name__", ""))
    for group in app.registered_groups:
        if group.typer_instance:
            yield from words_of(group.typer_instance, *before, str(group.name))


@pytest.mark.parametrize("words", list(words_of(app())), ids=" ".join)
def test_every_command_explains_itself_without_showing_the_key(
    run: Run, words: tuple[str, ...]
) -> None:
    shown = run(*words, "--help").stdout
    assert "Example: " in shown
    assert f"holdfast {' '.join(words)}" in shown
    assert "Exit codes: 0 ok" in shown
    assert KEY not in shown
