"""What the commands say of jobs that run, against the real API."""

import json

import pytest
import typer
from typer.testing import CliRunner

from orchestrator.commands import devices, jobs
from orchestrator.services.core import Core
from schemas.words import Scope
from tests.integration.api_stack import new_key, serving
from tests.integration.puppet import OTHER_PROJECT, Puppet, new_batch


def test_a_job_that_is_left_to_run_does_not_end_the_list(
    core: Core, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)
    jobs.register(app)
    batch = new_batch(core, 2)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    with serving(core) as api:
        monkeypatch.setenv("HOLDFAST_URL", api.url)
        monkeypatch.setenv("HOLDFAST_API_KEY", api.key)
        both = [job["id"] for job in api.get("/v1/jobs", batch_id=batch)["items"]]
        told = CliRunner().invoke(app, ["cancel-job", *both, "--leave-running", "--json"])
    assert told.exit_code == 0, told.output
    assert [each["verdict"] for each in json.loads(told.stdout)] == ["running", "canceled"]


def test_a_device_that_another_project_has_is_not_free(
    core: Core, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)
    devices.register(app)
    new_batch(core)
    with serving(core) as api:
        monkeypatch.setenv("HOLDFAST_URL", api.url)
        monkeypatch.setenv("HOLDFAST_API_KEY", new_key(core, [Scope.READ], OTHER_PROJECT))
        told = CliRunner().invoke(app, ["devices"], env={"COLUMNS": "200"})
    assert "another project's" in told.stdout and "free" not in told.stdout
