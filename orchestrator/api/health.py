"""Is it alive, is it ready: each server asked with a deadline of its own."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NoAnswer
from typing import Final

from orchestrator.errors import HoldfastError
from orchestrator.services.core import Core
from orchestrator.store.listings_devices import devices_online
from orchestrator.store.listings_reading import reading
from schemas.device import Health

logger = logging.getLogger(__name__)

DEADLINE_S: Final = 2.0
NO_BROKER: Final = "down: batches are accepted, and run when it is back"


class Probe:
    """One question to one server. While it hangs, no second one is asked."""

    def __init__(self, name: str, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=f"probe-{name}")
        self._asked: Future[str] | None = None

    def begin(self) -> "Future[str]":
        if self._asked is None or self._asked.done():
            self._asked = self._threads.submit(self._ask)
        return self._asked


class Probes:
    def __init__(self, core: Core) -> None:
        self._database = Probe("database", lambda: _online(core))
        self._broker = Probe("broker", lambda: _ping(core))

    def ready(self) -> tuple[bool, Health]:
        """Without Postgres nothing can be done. Without Redis everything can still be accepted
        and read, and the sweep sets it going when Redis is back: ready, but said."""
        online, broker = self._database.begin(), self._broker.begin()
        devices = _answer(online)
        alive = _answer(broker) is not None
        checks = {
            "database": "down" if devices is None else "ok",
            "broker": "ok" if alive else NO_BROKER,
        }
        if devices is not None:
            checks["devices"] = devices
        return devices is not None, Health(status=_word(devices is not None, alive), checks=checks)


def _word(database: bool, broker: bool) -> str:
    if not database:
        return "unavailable"
    return "ok" if broker else "degraded"


def _answer(asked: "Future[str]") -> str | None:
    try:
        return asked.result(timeout=DEADLINE_S)
    except (HoldfastError, NoAnswer):
        return None
    except Exception:
        logger.exception("a health check broke")
        return None


def _online(core: Core) -> str:
    with reading(core.engine) as connection:
        return f"{devices_online(connection)} online"


def _ping(core: Core) -> str:
    core.permits.ping()
    return "ok"
