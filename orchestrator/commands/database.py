"""Commands of the operator that speak to the database itself, on the machines that have its
address."""

import os

from orchestrator.commands.connection import USAGE, fail
from orchestrator.config import BadSettings, Settings


def settings() -> Settings:
    """Every mistake of them is told at once."""
    try:
        # Nothing here speaks to the broker: whoever asks need not know where it is.
        return Settings.from_env({**os.environ, "HOLDFAST_BROKER_URL": "redis://not-needed"})
    except BadSettings as error:
        fail("; ".join(error.problems), USAGE)
