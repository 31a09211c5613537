"""The rules of the repository that no other tool checks."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("orchestrator", "workers", "schemas", "client", "tests")
FORBIDDEN_NAMES = frozenset({"utils", "util", "common", "helpers", "helper", "manager", "misc"})
LONGEST_FILE = 300
LONGEST_FUNCTION = 40
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    found = (path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
    return sorted(path for path in found if "versions" not in path.parts)


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def stanzas(lock: Path) -> list[str]:
    return re.split(r"\n(?=[a-z0-9])", lock.read_text().strip())


def length(function: Function) -> int:
    """Lines from `def` to the end, without the docstring."""
    first = function.body[0]
    docstring = 0
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        docstring = (first.end_lineno or 0) - first.lineno + 1
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in sources()}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{name_of(path)}:{function.lineno} {function.name} ({length(function)} lines)"
        for path in sources()
        for function in functions(path)
        if length(function) > LONGEST_FUNCTION
    ]
    assert long == []


def test_every_module_says_what_it_is_about() -> None:
    words = {part: path for path in sources() for part in re.split(r"[_/.]", name_of(path))}
    assert sorted(FORBIDDEN_NAMES & words.keys()) == []


def test_no_lock_names_a_host() -> None:
    for lock in tracked("*.lock", "*package-lock.json"):
        found = re.search(r"https?://\S+|--(?:extra-)?index-url.*|--find-links.*", lock.read_text())
        assert found is None, f"{name_of(lock)} names {found.group()}"


def test_every_locked_requirement_has_its_hash() -> None:
    for lock in tracked("*.lock"):
        for stanza in stanzas(lock):
            assert "--hash=sha256:" in stanza, f"{name_of(lock)}: {stanza}"


def test_the_image_holds_what_the_tests_ran_with() -> None:
    tested = set(stanzas(ROOT / "requirements.lock"))
    assert [each for each in stanzas(ROOT / "deploy/requirements.lock") if each not in tested] == []


def test_no_file_names_a_place_on_one_persons_machine() -> None:
    home = re.compile(r"/(?:home|Users)/\w+/|(?<![\w./])/root/")
    named = [
        f"{name_of(path)}: {found.group()}"
        for path in tracked("*.py", "*.md", "*.toml", "*.sh", "Makefile", "*.yaml", "*.yml")
        if path != Path(__file__) and (found := home.search(path.read_text()))
    ]
    assert named == []
