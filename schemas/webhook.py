"""Bodies of the native API that speak of webhooks."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.job import Body


class Attempt(BaseModel):
    """Without `ended_at` it is under way, or its process died: then it is made again. A 2xx
    `http_status` is a success; otherwise `error` says what was wrong."""

    number: int
    at: datetime
    ended_at: datetime | None = None
    http_status: int | None = None
    error: str | None = None


class Delivery(BaseModel):
    """One message. `webhook_id` is its header of that name, the same in every attempt. HELD: its
    endpoint is disabled."""

    webhook_id: str
    type: str
    job_id: UUID | None = None
    at: datetime
    url: str
    status: Literal["PENDING", "DELIVERED", "GIVEN_UP", "HELD"]
    next_attempt_at: datetime | None = None
    attempts: list[Attempt]


class Endpoint(BaseModel):
    """One URL of the project's webhooks. `failing_since`: it has taken nothing since then."""

    url: str
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None


class EnableIn(Body):
    url: Annotated[str, Field(min_length=1, max_length=2000)]


class SigningSecret(BaseModel):
    """`secret` checks every message; `previous` are those that it replaced in the last day, and
    that messages are signed with as well."""

    secret: str
    previous: list[str] = []
