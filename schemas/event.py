"""One row for each change of state."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel


class Event(BaseModel):
    """`id` is a cursor: opaque, and ordered by commit, so nothing appears behind it later."""

    id: str
    kind: str
    batch_id: UUID | None = None
    job_id: UUID | None = None
    device: str | None = None
    status: str | None = None
    at: datetime
    detail: dict[str, Any] | None = None
