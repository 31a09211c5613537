"""The servers of the integration tests serve here, too."""

import logging
from collections.abc import Iterator

import pytest

from tests.integration.conftest import core, servers, settings
from tests.sim import history

__all__ = ["core", "servers", "settings"]


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """To what services log and pass over; not beyond these tests."""
    loggers = [logging.getLogger(name) for name in history.HEARD]
    before = [(log, log.level, log.propagate, log.handlers) for log in loggers]
    history.listen()
    yield
    for log, level, propagate, handlers in before:
        log.setLevel(level)
        log.propagate, log.handlers = propagate, handlers
