"""Results that are too large for the database: in the object store, as they are."""

from collections.abc import Iterator
from functools import lru_cache
from os import scandir
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from orchestrator.errors import NotFound, Unavailable
from schemas.objects import S3, store_options

CHUNK_BYTES: Final = 256 * 1024


class StoreAway(Unavailable):
    """The object store that HOLDFAST_STORE_URL names cannot be read."""


def need_folder(store_url: str) -> None:
    """For who must not make it: raises `StoreAway` unless a store on this machine is there."""
    url = urlsplit(store_url)
    if url.scheme != "file":
        return
    folder = url2pathname(url.path)
    try:
        scandir(folder).close()
    except OSError as error:
        raise StoreAway(f"the object store's folder {folder}: {error.strerror}") from error


def read_object(store_url: str, s3: S3, ref: str) -> Iterator[bytes]:
    """Raises before the first piece if it cannot be had."""
    # Imported when it is first needed: most processes never read an object.
    import obstore
    from obstore.exceptions import BaseError

    try:
        found = obstore.get(open_store(store_url, s3), ref)
    except FileNotFoundError as error:
        raise NotFound("the result is no longer in the object store") from error
    except (BaseError, OSError) as error:
        raise StoreAway("the object store does not answer; try again in a few seconds") from error
    return (bytes(piece) for piece in found.stream(min_chunk_size=CHUNK_BYTES))


@lru_cache(maxsize=4)
def open_store(url: str, s3: S3) -> Any:
    from obstore.store import from_url

    return from_url(url, **store_options(url, s3))


def write_object(store_url: str, s3: S3, ref: str, body: bytes) -> None:
    """Whole or not at all; the same again changes nothing."""
    import obstore
    from obstore.exceptions import BaseError

    try:
        obstore.put(open_store(store_url, s3), ref, body)
    except (BaseError, OSError) as error:
        raise StoreAway("the object store does not answer; try again in a few seconds") from error
