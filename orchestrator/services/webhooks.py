"""Webhooks, as a project sees them: its signing secret, and its endpoints put back into service."""

import base64
import secrets
from datetime import timedelta
from typing import Final
from uuid import UUID

from orchestrator.errors import Conflict, NotFound
from orchestrator.services.core import Core
from orchestrator.store import webhook_secrets, webhooks
from orchestrator.store.transaction import Transaction

SECRET_PREFIX: Final = "whsec_"
OVERLAP: Final = timedelta(days=1)
MOST_SECRETS: Final = 5
"""That count at once: each one is a signature more in every message."""


def signing_secrets(core: Core, tx: Transaction, project: UUID) -> list[str]:
    """The current one first, then those that it replaced within the last day."""
    found = webhook_secrets.valid(tx, project)
    if not found:
        webhook_secrets.ensure(tx, project, _fresh())
        found = webhook_secrets.valid(tx, project)
    return found


def rotate(core: Core, tx: Transaction, project: UUID) -> None:
    """A new secret. Messages are signed with the old one as well for a day."""
    if len(signing_secrets(core, tx, project)) >= MOST_SECRETS:
        raise Conflict(f"{MOST_SECRETS} secrets still count: wait until the oldest is a day old")
    webhook_secrets.replace(tx, project, _fresh(), keep=OVERLAP)


def enable(core: Core, tx: Transaction, project: UUID, url: str) -> int:
    """The endpoint gets what waited for it, and what comes. Harmless if it is in service."""
    endpoint = webhooks.enable(tx, project, url)
    if endpoint is None:
        raise NotFound("this project has no endpoint with that url")
    return endpoint


def _fresh() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
