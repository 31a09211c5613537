"""Tells the control side what cannot wait for the end of a window."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from schemas.task import BEGAN, HELLO, Began, Hello

logger = logging.getLogger(__name__)

_WORTHLESS_AFTER_S: Final = 5.0
_RETRY_S: Final = 1.0

Publish = Callable[[str, dict[str, Any]], None]


class Announcer:
    """A thread of its own, so that a dead broker delays neither a job nor a heartbeat."""

    def __init__(self, publish: Publish, hello: Callable[[], Hello | None]) -> None:
        """`publish` sends one message (name, body) or raises; `hello` gives None on standby."""
        self._publish = publish
        self._hello = hello
        self._hello_due = False
        self._box: queue.Queue[tuple[float, Began] | None] = queue.Queue(maxsize=256)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="announcer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def began(self, began: Began) -> None:
        """Best effort: shown late or not at all when the broker is away."""
        self._put((time.monotonic(), began))

    def say_hello(self) -> None:
        """Soon, and again until it is published; never lost, several become one."""
        self._hello_due = True
        self._put(None)

    def stop(self, timeout_s: float = 3.0) -> None:
        self._stopping.set()
        self._put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _put(self, item: tuple[float, Began] | None) -> None:
        try:
            self._box.put_nowait(item)
        except queue.Full:
            return

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                item = self._box.get(timeout=_RETRY_S)
            except queue.Empty:
                item = None
            if item is not None:
                self._tell(*item)
            if self._hello_due:
                self._greet()

    def _tell(self, since: float, began: Began) -> None:
        if time.monotonic() - since > _WORTHLESS_AFTER_S:
            return
        try:
            self._publish(BEGAN, began.model_dump())
        except Exception as error:
            logger.warning("job %s: not shown as running: %s", began.job, error)

    def _greet(self) -> None:
        # Cleared first: what becomes due while this one is on its way needs another.
        self._hello_due = False
        try:
            hello = self._hello()
            if hello is not None:
                self._publish(HELLO, hello.model_dump())
                logger.info("said hello with %d outcomes", len(hello.outcomes))
        except Exception as error:
            logger.warning("hello not said yet: %s", error)
            self._hello_due = True
            self._stopping.wait(_RETRY_S)
