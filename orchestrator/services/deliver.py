"""Deliver: messages to webhooks, each by a thread of its own, so that a slow endpoint holds up
neither a settle nor another endpoint."""

import logging
import random
from collections import Counter
from datetime import datetime, timedelta
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final

from orchestrator.domain.webhook import next_attempt, retry_after_s, why_disable
from orchestrator.errors import Unavailable
from orchestrator.services.core import Core
from orchestrator.services.messages import INLINE_BYTES, body_of, headers_of
from orchestrator.services.webhooks import signing_secrets
from orchestrator.store import webhook_news, webhooks
from orchestrator.store.listings_reading import reading
from orchestrator.store.transaction import Transaction
from orchestrator.store.webhooks import Parcel
from schemas import logs

if TYPE_CHECKING:
    from orchestrator.webhooks.post import Answer

logger = logging.getLogger(__name__)

WHOLE_S: Final = 15.0
"""For one attempt, from looking up the name to the end of the answer."""

THREADS: Final = 16
EACH: Final = 4
"""Messages under way to one endpoint, from one control process."""

LEASE: Final = timedelta(seconds=60)
"""Well above what an attempt may take: then its process is dead, and it is made again."""


class Courier:
    """One in each control process. Any number of them share the work."""

    def __init__(self, core: Core, *, whole_s: float = WHOLE_S) -> None:
        self._core = core
        self._whole_s = whole_s
        self._lock = Lock()
        self._busy: Counter[int] = Counter()

    @property
    def idle(self) -> bool:
        with self._lock:
            return not self._busy

    def look(self) -> None:
        """Once a second: one cheap question, unless there is something to tell or to send."""
        try:
            with reading(self._core.engine) as connection:
                news, waiting = webhook_news.outlook(connection)
            if news:
                with self._core.transaction() as tx:
                    webhook_news.tell(tx)
            if news or waiting:
                self._send(wait=False)
        except Unavailable as error:
            logger.warning("webhooks: %s", error)

    def _send(self, *, ended: int | None = None, wait: bool = True) -> None:
        """As much as there is room for. `ended`: the endpoint of an attempt that is over. Without
        `wait` another one's claim is not waited for: it takes what there is."""
        if not self._lock.acquire(blocking=wait):
            return
        try:
            if ended is not None:
                self._busy -= Counter([ended])
            parcels = self._claim(THREADS - self._busy.total())
            self._busy.update(parcel.endpoint for parcel in parcels)
        finally:
            self._lock.release()
        for parcel in parcels:
            self._start(parcel)

    def _start(self, parcel: Parcel) -> None:
        """A daemon: one that is cut off at exit is sent again, under the same id."""
        try:
            Thread(target=self._run, args=(parcel,), daemon=True, name="webhook").start()
        except RuntimeError:
            logger.exception("webhooks: no thread for event %d", parcel.event)
            with self._lock:
                self._busy -= Counter([parcel.endpoint])

    def _claim(self, room: int) -> list[Parcel]:
        if room <= 0:
            return []
        with self._core.transaction() as tx:
            return webhooks.claim(tx, room=room, each=EACH, busy=dict(self._busy), lease=LEASE)

    def _run(self, parcel: Parcel) -> None:
        with logs.about(project=parcel.project):
            try:
                deliver(self._core, parcel, whole_s=self._whole_s)
            except Unavailable as error:
                logger.warning("webhooks: event %d will be sent again: %s", parcel.event, error)
            except Exception:
                logger.exception("webhooks: event %d will be sent again", parcel.event)
        try:
            self._send(ended=parcel.endpoint)
        except Unavailable as error:
            logger.warning("webhooks: %s", error)


def deliver(core: Core, parcel: Parcel, *, whole_s: float = WHOLE_S) -> None:
    """One attempt, and its place in the delivery log."""
    try:
        answer = _attempt(core, parcel, whole_s)
    except Unavailable:
        raise
    except Exception as error:
        logger.exception("webhooks: no message could be made of event %d", parcel.event)
        with core.transaction() as tx:
            again = next_attempt(parcel.number, tx.at, random.random())
            webhooks.unmade(tx, parcel, f"no message could be made: {error!r}"[:200], again=again)
        return
    with core.transaction() as tx:
        if answer.error is None and answer.status is not None:
            webhooks.delivered(tx, parcel, answer.status)
        else:
            _failed(tx, parcel, answer)


def _attempt(core: Core, parcel: Parcel, whole_s: float) -> "Answer":
    # Imported when it is first needed: most control processes never send one.
    from orchestrator.webhooks.post import post

    with core.transaction() as tx:
        told = webhooks.content(tx, parcel.event, inline=INLINE_BYTES)
        logs.note(batch=told["batch_id"], job=told["job_id"])
        secrets, at = signing_secrets(core, tx, parcel.project), tx.at
    body = body_of(core, told, at)
    headers = headers_of(told["event"], body, secrets, at)
    allowed = core.settings.webhook_allow
    return post(parcel.url, headers, body.encode(), allowed=allowed, whole_s=whole_s)


def _failed(tx: Transaction, parcel: Parcel, answer: "Answer") -> None:
    asked_s = retry_after_s(answer.retry_after, tx.at)
    again = next_attempt(parcel.number, tx.at, random.random(), asked_s)
    hold: datetime | None = None if asked_s is None else tx.at + timedelta(seconds=asked_s)
    error = answer.error or "no answer"
    since = webhooks.failed(tx, parcel, answer.status, error, again=again, hold=hold)
    reason = why_disable(answer.status, since, tx.at)
    if reason is not None:
        webhooks.disable(tx, parcel.endpoint, reason)
        logger.warning("webhooks: endpoint %d is disabled: %s", parcel.endpoint, reason)
