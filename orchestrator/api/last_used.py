"""Writes down when keys were last used, beside the requests and not within them."""

import asyncio
import logging

from anyio.to_thread import run_sync

from orchestrator.services import uses
from orchestrator.services.core import Core

logger = logging.getLogger(__name__)


async def keep_written(core: Core) -> None:
    while True:
        await asyncio.sleep(uses.WRITE_EVERY_S)
        try:
            await run_sync(write, core)
        except Exception:
            logger.warning("the last use of some keys is not known", exc_info=True)


def write(core: Core) -> None:
    if used := core.uses.take():
        with core.transaction() as tx:
            uses.write_down(tx, used)
