"""Links: the address of a result for whoever is given it, as an object store would presign it."""

from datetime import datetime
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from orchestrator.domain.links import opens, signature
from orchestrator.services.core import Core

LINK_TTL_S: Final = 3600
PATH: Final = "/core-fast/api/v1/results"


def result_link(core: Core, base_url: str, job: UUID, at: datetime, ttl_s: int = LINK_TTL_S) -> str:
    """Absolute; anyone who has it may read that one result until it expires."""
    expires = int(at.timestamp()) + ttl_s
    signed = signature(core.signing_secret, job, expires)
    query = urlencode({"expires": expires, "signature": signed})
    return f"{base_url.rstrip('/')}{PATH}/{job}?{query}"


def is_open(core: Core, job: UUID, expires: int, signed: str, at: datetime) -> bool:
    return opens(core.signing_secret, job, expires, signed, now=at.timestamp())
