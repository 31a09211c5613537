"""Commands of the operator that speak to the database itself, on the machines that have its
address."""

import json
import os
from contextlib import suppress

from orchestrator.commands.connection import READY_FILE, USAGE, fail
from orchestrator.config import BadSettings, Settings


def settings() -> Settings:
    """Every mistake of them is told at once. Without an address, those of `holdfast dev` here."""
    env = dict(os.environ)
    if not env.get("HOLDFAST_DATABASE_URL"):
        env |= _running_here()
    try:
        # Nothing here speaks to the broker: whoever asks need not know where it is.
        return Settings.from_env({**env, "HOLDFAST_BROKER_URL": "redis://not-needed"})
    except BadSettings as error:
        fail("; ".join(error.problems), USAGE)


def _running_here() -> dict[str, str]:
    with suppress(OSError, ValueError, KeyError, TypeError):
        ready = json.loads(READY_FILE.read_text())
        store = os.environ.get("HOLDFAST_STORE_URL") or _objects_here()
        return {"HOLDFAST_DATABASE_URL": str(ready["database_url"]), "HOLDFAST_STORE_URL": store}
    return {}


def _objects_here() -> str:
    return (READY_FILE.parent / "objects").absolute().as_uri()
