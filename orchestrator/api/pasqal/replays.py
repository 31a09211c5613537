"""A create that comes again.

The client sends a POST again when its answer is lost (502, 504) and has no idempotency key. So
the same bytes from the same user to the same project are, for a minute, the same call. Bytes of
the wire: its gzip header holds the second in which the user made the call, so that a program that
is run again, in another second, makes another batch.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from fastapi import Request
from fastapi.responses import Response

from orchestrator.api.pasqal.bodies import Sent
from orchestrator.api.pasqal.callers import Caller
from orchestrator.api.pasqal.envelope import success
from orchestrator.api.posting import REPLAYED
from orchestrator.store import submissions
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.transaction import Transaction

SPAN: Final = timedelta(seconds=60)
DOOR: Final = "pasqal"


@dataclass(frozen=True)
class Create:
    """`shown` reads what the answer tells of the batch that was made."""

    caller: Caller
    project: UUID
    key: str
    shown: Callable[[Reader, UUID], Any]

    def known(self) -> Response | None:
        """The answer to the same call, made a moment ago; so that it is not checked again."""
        with reading(self.caller.core.engine) as connection:
            report = submissions.recent(connection, self.project, self.key, SPAN)
            return None if report is None else self._again(connection, report)

    def run(self, make: Callable[[Transaction], UUID]) -> Response:
        """The answer is read before the commit: nothing can fail once the batch is there."""
        core = self.caller.core
        with core.transaction() as tx:
            digest = self.key.encode()
            call = submissions.claim_for(tx, self.project, self.key, digest, SPAN, door=DOOR)
            if call.report is not None:
                return self._again(tx.connection, call.report)
            batch = make(tx)
            submissions.keep(tx, call.id, 200, {"batch": str(batch)})
            data = self.shown(tx.connection, batch)
        return success(data)

    def _again(self, connection: Reader, report: submissions.Report) -> Response:
        data = self.shown(connection, UUID(report["batch"]))
        return success(data, headers={REPLAYED: "true"})


def create(
    request: Request,
    caller: Caller,
    project: UUID,
    sent: Sent,
    shown: Callable[[Reader, UUID], Any],
) -> Create:
    call = f"{request.url.path} {caller.user} {project} {sent.wire}"
    key = f"bytes:{hashlib.sha256(call.encode()).hexdigest()}"
    return Create(caller, project, key, shown)
