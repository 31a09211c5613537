"""A status can be written by the moves only."""

import re
from pathlib import Path

import pytest

ASSIGNED = re.compile(r"UPDATE\s+(?:batch|job)\b(.*?)(?:\bWHERE\b|\bFROM\b|$)", re.S)
SOURCES = sorted(Path("orchestrator").rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_only_the_moves_write_a_status(path: Path) -> None:
    statements = re.findall(r'"""(.*?)"""', path.read_text(), re.S)
    writing = [text for text in statements if writes_a_status(text)]
    assert not writing or path.match("orchestrator/store/moves*.py")


def writes_a_status(statement: str) -> bool:
    """Up to its WHERE an UPDATE says what it writes; after it, what it looks for."""
    assignments = re.findall(
        r"UPDATE\s+(?:batch|job)\b(.*?)(?:\bWHERE\b|\bFROM\b|$)", statement, re.S
    )
    return any(re.search(r"\bstatus\s*=", assigned) for assigned in assignments)


def test_the_search_finds_what_it_looks_for() -> None:
    moves = [path.read_text() for path in Path("orchestrator/store").glob("moves*.py")]
    found = [text for each in moves for text in re.findall(r'"""(.*?)"""', each, re.S)]
    assert sum(map(writes_a_status, found)) >= 5
