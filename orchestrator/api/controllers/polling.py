"""The long poll: an acquire that finds nothing waits for something to come."""

import time
from typing import Final

import anyio
from fastapi import Request

from orchestrator.api.auth import core_of
from orchestrator.services.remote.acquire import acquire
from orchestrator.store.controllers import ControllerRow
from schemas.controller import POLL_S, Acquired, AcquireIn

LOOK_EVERY_S: Final = 1.0
"""What a wake-up that was lost costs."""
MOST: Final = 1000
"""Polls that one process holds; a further one is answered at once."""


class Polls:
    def __init__(self) -> None:
        self.open = 0

    async def poll(self, request: Request, row: ControllerRow, body: AcquireIn) -> Acquired:
        """Postgres is asked at every ring, and every second anyway."""
        core, streams = core_of(request), request.app.state.streams
        deadline = time.monotonic() + min(body.wait_s, POLL_S)
        self.open += 1
        try:
            with streams.wakeups.bell(row.id, None) as bell:
                while True:
                    found = await anyio.to_thread.run_sync(acquire, core, row, body)
                    left = deadline - time.monotonic()
                    if found.leases or found.state != "online" or left <= 0 or self.open > MOST:
                        return found
                    await bell.wait(min(LOOK_EVERY_S, left))
                    if streams.closing.is_set() or await request.is_disconnected():
                        return found
        finally:
            self.open -= 1
