"""Pages by offset, each with the exact total: both of one moment, because of one statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

Order = Literal["ASC", "DESC"]
"""Of creation: oldest first, or newest first."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Found(Generic[Row]):
    """One page, and how many there are on all pages."""

    rows: list[Row]
    total: int


def every(clauses: Mapping[str, str], given: Mapping[str, Any]) -> str:
    """SQL: those of the clauses that have a value, behind a WHERE that is there already."""
    return "".join(f" AND {clause}" for name, clause in clauses.items() if name in given)
