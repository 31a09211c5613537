"""What a run leaves on its way: its log in numbered chunks, and checkpoints for its next run."""

import base64
import binascii
import hashlib
import zlib
from uuid import UUID

from orchestrator.domain.controller import Assignment
from orchestrator.errors import Flaw, NotFound, Rejected, TooLarge
from orchestrator.services.core import Core
from orchestrator.services.remote.finding import find, is_current, stale
from orchestrator.store import checkpoints
from orchestrator.store.assignments import Assigned
from orchestrator.store.checkpoints import LogEnd
from orchestrator.store.controllers import ControllerRow
from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction
from schemas.controller import (
    CHECKPOINT_BYTES,
    LOG_BYTES,
    LOG_CHUNK_BYTES,
    LOG_CHUNKS,
    CheckpointIn,
    LogPage,
)

PAGE_CHUNKS = 64
_GZIP = 31


def add_log(
    core: Core, row: ControllerRow, named: Assignment, epoch: int, at: LogEnd, packed: bytes
) -> int | None:
    """The number of the next chunk; None when `at` is not where the log ends. One that came
    before is passed over. Raises NotFound, Conflict, TooLarge, Rejected."""
    text = inflated(packed)
    with core.transaction() as tx:
        _begun(tx, row, named, epoch)
        end = checkpoints.log_end(tx, named.job, named.run)
        if at.seq < end.seq:
            return end.seq
        if at != end:
            return None
        if end.offset + len(text) > LOG_BYTES:
            raise TooLarge(f"the log of this run is over {LOG_BYTES} bytes; send no more of it")
        if end.seq >= LOG_CHUNKS:
            raise TooLarge(f"the log of this run is over {LOG_CHUNKS} chunks; send no more of it")
        added = checkpoints.add_chunk(tx, named.job, named.run, end, len(text), packed)
    return end.seq + 1 if added else None


def expected(core: Core, named: Assignment) -> LogEnd:
    with core.transaction() as tx:
        return checkpoints.log_end(tx, named.job, named.run)


def inflated(packed: bytes) -> bytes:
    """Bounded while it is inflated: nothing beyond the limit is ever in memory."""
    if len(packed) > LOG_CHUNK_BYTES:
        raise TooLarge(f"a log chunk has at most {LOG_CHUNK_BYTES} bytes")
    unpacking = zlib.decompressobj(wbits=_GZIP)
    try:
        text = unpacking.decompress(packed, LOG_CHUNK_BYTES + 1)
    except zlib.error as error:
        raise Rejected([Flaw("body", f"is not gzip: {error}")]) from None
    if len(text) > LOG_CHUNK_BYTES:
        raise TooLarge(f"a log chunk has at most {LOG_CHUNK_BYTES} bytes when it is inflated")
    if not unpacking.eof or unpacking.unused_data:
        raise Rejected([Flaw("body", "must be one whole gzip member")])
    return text


def read_log(connection: Reader, job: UUID, run: int | None, seq: int) -> LogPage:
    """Of that run, or of the last that wrote something. Whose job it is was asked before."""
    found = checkpoints.run_with_log(connection, job, run)
    if found is None:
        return LogPage(run=run or 0, seq=seq, next_seq=seq, more=False, text="")
    chunks = checkpoints.chunks(connection, job, found, seq, PAGE_CHUNKS + 1)
    shown = chunks[:PAGE_CHUNKS]
    text = b"".join(inflated(body) for _, body in shown).decode("utf-8", "replace")
    following = shown[-1][0] + 1 if shown else seq
    more = len(chunks) > len(shown)
    return LogPage(run=found, seq=seq, next_seq=following, more=more, text=text)


def keep_checkpoint(core: Core, row: ControllerRow, named: Assignment, body: CheckpointIn) -> None:
    """Raises NotFound, Conflict, TooLarge, Rejected."""
    blob = _blob(body)
    with core.transaction() as tx:
        found = _begun(tx, row, named, body.epoch)
        if found.window is None:
            raise stale(found, body.epoch)
        checkpoints.keep(tx, named.job, named.run, body.seq, body.sha256, uri=body.uri, blob=blob)


def _blob(body: CheckpointIn) -> bytes | None:
    if (body.uri is None) == (body.blob is None):
        raise Rejected([Flaw("blob", "give either this or `uri`")])
    if body.blob is None:
        return None
    try:
        blob = base64.b64decode(body.blob, validate=True)
    except (binascii.Error, ValueError):
        raise Rejected([Flaw("blob", "is not base64")]) from None
    if len(blob) > CHECKPOINT_BYTES:
        raise TooLarge(f"a checkpoint has at most {CHECKPOINT_BYTES} bytes; give its `uri`")
    if hashlib.sha256(blob).hexdigest() != body.sha256:
        raise Rejected([Flaw("sha256", "is not that of `blob`")])
    return blob


def _begun(tx: Transaction, row: ControllerRow, named: Assignment, epoch: int) -> Assigned:
    found = find(tx, row, named)
    if not is_current(found, named, epoch) or found.started_at is None:
        raise stale(found, epoch)
    return found


def job_exists(core: Core, tx: Transaction, project: UUID, job: UUID) -> None:
    if core.jobs.get(tx, project, job) is None:
        raise NotFound(f"there is no job {job}")
