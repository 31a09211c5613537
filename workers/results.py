"""From the JSON text of a result to what travels: inline, or by reference."""

import hashlib
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import obstore
from obstore.store import from_url
from pydantic_core import to_json

from schemas import failpoint
from schemas.objects import S3, store_options
from schemas.task import INLINE_LIMIT, Result

logger = logging.getLogger(__name__)

WINDOW_INLINE_LIMIT: Final = 2**20
"""Bytes of inline results in one settle message; what is over goes by reference."""


class ResultNotStored(Exception):
    """The object store refused for too long; the text says why."""


class ResultStore(Protocol):
    def put(self, key: str, body: bytes) -> None:
        """Whole or not at all. Raises `ResultNotStored`."""


class ObjectStore:
    """file:// and s3:// alike. `retry_s` bounds how long one result is tried."""

    def __init__(self, url: str, s3: S3, *, retry_s: float) -> None:
        self._store: Any = from_url(url, **store_options(url, s3))
        self._retry_s = retry_s

    def put(self, key: str, body: bytes) -> None:
        deadline = time.monotonic() + self._retry_s
        pause_s = 0.2
        while True:
            try:
                obstore.put(self._store, key, body)
                return
            except Exception as error:
                if time.monotonic() + pause_s > deadline:
                    raise ResultNotStored(f"{type(error).__name__}: {error}") from error
                logger.warning("%s is not stored yet: %s", key, error)
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 5.0)


class Packer:
    """Counts what one window carries inline, and sends the rest to the store."""

    def __init__(self, store: Callable[[], ResultStore], spill: Path) -> None:
        """`store` is opened at the first large result; `spill` keeps what it refused."""
        self._open = store
        self._store: ResultStore | None = None
        self._spill = spill
        self._room = WINDOW_INLINE_LIMIT

    def new_window(self) -> None:
        self._room = WINDOW_INLINE_LIMIT

    def pack(self, job: str, run: int, text: bytes) -> Result:
        """Raises `ResultNotStored`: the text then lies in the spill folder; or `ValueError` or
        `RecursionError` for what no message can carry."""
        size, sha256 = len(text), hashlib.sha256(text).hexdigest()
        if size <= min(INLINE_LIMIT, self._room):
            value = _carried(json.loads(text))
            self._room -= size
            return Result(value=value, size=size, sha256=sha256)
        key = f"results/{job}/{run}.json"
        try:
            if self._store is None:
                self._store = self._open()
            self._store.put(key, text)
            failpoint.reach("worker.uploaded")
        except Exception as error:
            self._keep(job, run, text)
            raise ResultNotStored(str(error)) from error
        return Result(ref=key, size=size, sha256=sha256)

    def _keep(self, job: str, run: int, text: bytes) -> None:
        path = self._spill / f"{job}.{run}.json"
        try:
            self._spill.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
        except OSError:
            logger.exception("job %s run %d: its result is lost", job, run)
            return
        logger.error("job %s run %d: its result could not be stored; it is in %s", job, run, path)


def _carried(value: Any) -> Any:
    """Raises `ValueError` for what is nested too deeply for the messages that carry it, which lie
    around it as the lists here do."""
    to_json([[[[[[[[value]]]]]]]])
    return value
