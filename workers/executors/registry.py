"""Executors by name, from the entry-point group `holdfast.executors`."""

from importlib.metadata import EntryPoint, entry_points
from typing import Final

from workers.executors.base import Executor

GROUP: Final = "holdfast.executors"


class UnknownExecutor(Exception):
    def __init__(self, name: str) -> None:
        known = ", ".join(names()) or "none"
        super().__init__(f"there is no executor {name!r}; installed here: {known}")


def names() -> list[str]:
    return sorted({point.name for point in entry_points(group=GROUP)})


def find(name: str) -> EntryPoint:
    """Raises `UnknownExecutor`, which lists the names that would do."""
    for point in entry_points(group=GROUP, name=name):
        return point
    raise UnknownExecutor(name)


def load(name: str) -> type[Executor]:
    executor: type[Executor] = find(name).load()
    return executor


def versions(name: str) -> dict[str, str]:
    """The distribution that brings this executor, and its version."""
    dist = find(name).dist
    return {dist.name: dist.version} if dist else {}
