"""Learn: how long jobs take, what to expect of batches that came, and whether that came true.

Called by the sweep's task. Off every hot path: it reads what others have written.
"""

import logging
from collections import defaultdict
from datetime import timedelta
from typing import Final
from uuid import UUID

from orchestrator.errors import Unavailable
from orchestrator.services.core import Core
from orchestrator.services.outlook import outlook
from orchestrator.store import paces, predictions
from orchestrator.store.paces import Place
from orchestrator.store.predictions import Newcomer, Prediction
from orchestrator.store.transaction import Transaction
from schemas.words import BatchStatus

logger = logging.getLogger(__name__)

APART: Final = timedelta(seconds=3)
AT_ONCE: Final = 20
"""Batches of which something is foretold in one look: of very many, the newest."""


def learn(core: Core, *, apart: timedelta = APART) -> None:
    """At most once in `apart`, whoever calls; one at a time. What fails is tried again."""
    try:
        with core.transaction() as tx:
            place = paces.claim(tx, apart=apart)
            if place is not None:
                _look(tx, place)
    except Unavailable as error:
        logger.warning("learn: %s", error)
    except Exception:
        logger.exception("nothing was learned")


def _look(tx: Transaction, place: Place) -> None:
    span = paces.unread(tx, place)
    if span.high > span.low:
        paces.learn(tx, span)
        predictions.score(tx, span)
    new = predictions.newcomers(tx, place.batch)
    _foretell(tx, [each for each in new if each.status == BatchStatus.PENDING][:AT_ONCE])
    seen = new[0].seq if new else place.batch
    paces.move_on(tx, Place(max(span.low, span.high), seen))


def _foretell(tx: Transaction, new: list[Newcomer]) -> None:
    by_type: dict[str, list[UUID]] = defaultdict(list)
    for each in new:
        by_type[each.device_type].append(each.id)
    for device_type, batches in by_type.items():
        predictions.keep(tx, _made(tx, device_type, batches))


def _made(tx: Transaction, device_type: str, batches: list[UUID]) -> list[Prediction]:
    view = outlook(tx.connection, device_type, f"{device_type} {tx.at}", also=batches)
    wanted, now = set(batches), view.pool.now
    return [
        Prediction(
            row.id,
            device_type,
            row.program.digest,
            now + timedelta(seconds=found.start.p50),
            now + timedelta(seconds=found.start.p90),
        )
        for row in view.line
        if row.id in wanted and (found := view.expected.get(row.id))
    ]
