"""One stack for the tests of a module, one device and one client for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Stack, running_stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def device(stack: Stack, request: pytest.FixtureRequest) -> Iterator[str]:
    """A device of a type of its own, with its worker up."""
    number = len(stack.parts)
    name = f"dev-{number}"
    worker = stack.worker(name, device_type=f"T{number}")
    stack.online(name)
    yield name
    worker.stop()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The device's own record."""
    return tmp_path / "device.log"
