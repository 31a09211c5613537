"""Writes down when keys were last used, beside the requests and not within them."""

import asyncio
import logging
from contextlib import suppress

from anyio.to_thread import run_sync

from orchestrator.services import uses
from orchestrator.services.core import Core

logger = logging.getLogger(__name__)


async def keep_written(core: Core, closing: asyncio.Event) -> None:
    """Until told to end, and then once more. Not to be cancelled: that would leave a thread alone
    with its connection."""
    while not closing.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), uses.WRITE_EVERY_S)
        try:
            await run_sync(write, core)
        except Exception:
            logger.warning("the last use of some keys is not known", exc_info=True)


def write(core: Core) -> None:
    if used := core.uses.take():
        with core.transaction() as tx:
            uses.write_down(tx, used)
