"""The servers of the integration tests serve here, too."""

from tests.integration.conftest import core, servers, settings

__all__ = ["core", "servers", "settings"]
