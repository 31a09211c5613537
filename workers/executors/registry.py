"""Executors by name, from the entry-point group `holdfast.executors`.

Ours that need a package which is never installed with the rest are there only where it is.
"""

from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec
from typing import Final

from workers.executors.base import Executor

GROUP: Final = "holdfast.executors"
OPTIONAL: Final = {"emu_sv": "emu-sv", "emu_mps": "emu-mps", "xtb": "tblite"}
"""Executors and the distributions that they need."""


class UnknownExecutor(Exception):
    def __init__(self, name: str) -> None:
        known = ", ".join(names()) or "none"
        if name in OPTIONAL:
            super().__init__(
                f"the executor {name!r} needs {OPTIONAL[name]}, which is not installed: try"
                f" pip install {OPTIONAL[name]} (its licence: docs/executors.md)"
            )
        else:
            super().__init__(f"there is no executor {name!r}; installed here: {known}")


def names() -> list[str]:
    found = {point.name for point in entry_points(group=GROUP)}
    return sorted(name for name in found if _is_here(name))


def find(name: str) -> EntryPoint:
    """Raises `UnknownExecutor`, which lists the names that would do."""
    for point in entry_points(group=GROUP, name=name):
        if _is_here(name):
            return point
    raise UnknownExecutor(name)


def _is_here(name: str) -> bool:
    return name not in OPTIONAL or find_spec(OPTIONAL[name].replace("-", "_")) is not None


def load(name: str) -> type[Executor]:
    executor: type[Executor] = find(name).load()
    return executor


def versions(name: str) -> dict[str, str]:
    """The distribution that brings this executor, the one that it needs, and their versions."""
    dist = find(name).dist
    found = {dist.name: dist.version} if dist else {}
    return {**found, **({OPTIONAL[name]: version(OPTIONAL[name])} if name in OPTIONAL else {})}
