"""docs/pasqal.md: what it shows is run, and it leaves no method out."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient

from tests.pasqal.conftest import Dev
from tests.pasqal.older_environment import printed_by

PAGE = (Path(__file__).parents[2] / "docs" / "pasqal.md").read_text()
SECTIONS = re.split(r"^## (.*)\n", PAGE, flags=re.M)[1:]
PROGRAMS = {
    heading: program
    for heading, text in zip(SECTIONS[::2], SECTIONS[1::2], strict=True)
    for program in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
}
LOGINS = ("With user and password", "With an API key")


def given(dev: Dev) -> dict[str, Any]:
    """What the page says that a reader has."""
    return {
        "URL": dev.base_url,
        "PROJECT": dev.project_id,
        "USER": dev.username,
        "PASSWORD": dev.password,
        "API_KEY": dev.api_key,
    }


def run(dev: Dev, *headings: str) -> dict[str, Any]:
    names = given(dev)
    for heading in headings:
        exec(compile(PROGRAMS[heading], f"docs/pasqal.md, {heading}", "exec"), names)
    return names


def test_every_program_of_the_page_is_run_here() -> None:
    assert PAGE.count("```python") == len(PROGRAMS)
    rest = {"A sequence", "A program", "Pulser's remote backends", "pulser-pasqal"}
    assert set(PROGRAMS) == {*LOGINS, *rest}


@pytest.mark.parametrize("login", LOGINS)
def test_a_program_runs_with_either_login(dev: Dev, login: str) -> None:
    batch = run(dev, login, "A sequence", "A program")["batch"]
    assert batch.status == "DONE"
    assert [sum(job.result.values()) for job in batch.ordered_jobs] == [50, 50, 50]


def test_pulsers_remote_backends_run(dev: Dev) -> None:
    names = run(dev, "With an API key", "A sequence", "Pulser's remote backends")
    assert sum(names["results"][0].final_bitstrings.values()) == 200
    assert names["fresnel"].name == "FRESNEL"


def test_pulser_pasqal_runs(dev: Dev) -> None:
    values = "\n".join(f"{name} = {value!r}" for name, value in given(dev).items())
    program = "\n".join([values, PROGRAMS["A sequence"], PROGRAMS["pulser-pasqal"]])
    assert sum(ast.literal_eval(printed_by("-", program=program)).values()) == 1000


def test_no_method_of_the_client_is_left_out() -> None:
    found = inspect.getmembers(PasqalCloudClient, inspect.isfunction)
    public = {name for name, _ in found if not name.startswith("_")}
    assert public - set(re.findall(r"\w+", PAGE)) == set()
