"""Results that lie in the object store: whether they are there, and what they should be."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from orchestrator.errors import NotFound
from orchestrator.store.audit import SHOWN, Offences, Ref, Row
from orchestrator.store.objects import StoreAway, open_store, read_object
from schemas.objects import S3

_AT_ONCE: Final = 16


def faults(store_url: str, s3: S3, refs: Sequence[Ref], *, read: bool) -> Offences:
    """Raises `StoreAway`. `read`: every byte is looked at, not only how many there are."""
    look = partial(_read if read else _ask, store_url, s3)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="verify") as pool:
        rows = [row for row in pool.map(look, refs) if row is not None]
    return Offences(len(rows), rows[:SHOWN])


def _ask(store_url: str, s3: S3, ref: Ref) -> Row | None:
    import obstore
    from obstore.exceptions import BaseError

    try:
        size = obstore.head(open_store(store_url, s3), ref.key)["size"]
    except FileNotFoundError:
        return {"job": ref.job, "ref": ref.key, "why": "it is not in the object store"}
    except (BaseError, OSError) as error:
        raise StoreAway("the object store does not answer") from error
    return None if size == ref.size else _other(ref, size)


def _read(store_url: str, s3: S3, ref: Ref) -> Row | None:
    from obstore.exceptions import BaseError

    size, digest = 0, hashlib.sha256()
    try:
        for piece in read_object(store_url, s3, ref.key):
            digest.update(piece)
            size += len(piece)
    except NotFound:
        return {"job": ref.job, "ref": ref.key, "why": "it is not in the object store"}
    except (BaseError, OSError) as error:
        raise StoreAway("the object store stopped in the middle of a result") from error
    return None if digest.hexdigest() == ref.sha256 else _other(ref, size)


def _other(ref: Ref, size: int) -> Row:
    why = "it is not what the device gave"
    return {"job": ref.job, "ref": ref.key, "size": ref.size, "real_size": size, "why": why}
