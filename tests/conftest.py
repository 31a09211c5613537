"""Shared by all tests."""

from contextlib import suppress

import pytest

from tests.installed import NotInstalled, promtool


def pytest_collection_finish(session: pytest.Session) -> None:
    """A test's own time limit is too short for an installation. What went wrong is told by the
    tests that need it."""
    modules = {getattr(item, "module", None) for item in session.items}
    if any(getattr(module, "promtool", None) is promtool for module in modules):
        with suppress(NotInstalled):
            promtool()
