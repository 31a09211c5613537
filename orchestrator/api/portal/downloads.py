"""Results of many jobs as one file, made while it is sent: one page of them is in memory."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from orchestrator.api.auth import core_of
from orchestrator.api.portal.bulk import TAKES
from orchestrator.api.portal.filters import Wanted
from orchestrator.api.portal.part import Asked, asked_by
from orchestrator.api.portal.route import pages
from orchestrator.api.portal.visitor import Visits
from orchestrator.errors import NotFound
from orchestrator.services.core import Core
from orchestrator.store.listings_portal import Line
from orchestrator.store.listings_reading import reading
from orchestrator.store.objects import read_object
from orchestrator.store.results import Kept, kept_results
from schemas.batch import Batch

router = pages()
Kind = Literal["zip", "json"]
PIECE_BYTES: Final = 256 * 1024
HUGE_BYTES: Final = 2**31
"""An entry that may grow beyond this must be begun as a large one."""


@router.get("/batches/results.{kind}")
def of_many(request: Request, visitor: Visits, kind: Kind) -> Response:
    """Of the chosen batches, or of the newest that match."""
    return _download(request, visitor.project, asked_by(request.query_params.getlist), kind)


@router.get("/batches/{batch_id}/results.{kind}")
def of_one(request: Request, visitor: Visits, batch_id: UUID, kind: Kind) -> Response:
    asked = Asked([batch_id], Wanted((), {}), None)
    return _download(request, visitor.project, asked, kind)


def _download(request: Request, project: UUID, asked: Asked, kind: Kind) -> Response:
    core = core_of(request)
    with reading(core.engine) as reader:
        lines = TAKES["download"](reader, project, asked).items
    if not lines:
        raise NotFound("there is no such batch" if asked.ids else "no batch matches")
    now = f"{datetime.now(UTC):%Y%m%d-%H%M}"
    name = folder_of(lines[0].batch) if len(lines) == 1 else f"results-{now}"
    made, media = MADE[kind]
    return StreamingResponse(
        made(core, project, lines),
        media_type=media,
        headers={"Content-Disposition": f'attachment; filename="{name}.{kind}"'},
    )


def folder_of(batch: Batch) -> str:
    """Safe as the name of a file anywhere, and no other batch's."""
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", batch.name or "").strip("-.")[:60]
    return f"{words or 'batch'}-{str(batch.id)[-8:]}"


class Sink:
    """What was written and is not sent yet."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, piece: bytes) -> int:
        self._held += piece
        return len(piece)

    def flush(self) -> None:
        pass

    def full(self) -> bool:
        return len(self._held) >= PIECE_BYTES

    def taken(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken


def zipped(core: Core, project: UUID, lines: Sequence[Line]) -> Iterator[bytes]:
    sink, now = Sink(), datetime.now(UTC).timetuple()[:6]
    with ZipFile(sink, "w", ZIP_DEFLATED, compresslevel=1) as archive:  # type: ignore[call-overload]

        def entry(name: str) -> ZipInfo:
            made = ZipInfo(name, now)
            made.compress_type = ZIP_DEFLATED
            return made

        index = [{"folder": folder_of(line.batch), **_facts(line)} for line in lines]
        archive.writestr(entry("index.json"), json.dumps({"batches": index}, indent=2))
        for line in lines:
            for job in _jobs(core, project, line.batch.id):
                name = f"{folder_of(line.batch)}/{job.ordinal:05d}.json"
                large = (job.size or 0) > HUGE_BYTES
                with archive.open(entry(name), "w", force_zip64=large) as file:
                    for piece in _told(core, job):
                        file.write(piece)
                        if sink.full():
                            yield sink.taken()
    yield sink.taken()


def listed(core: Core, project: UUID, lines: Sequence[Line]) -> Iterator[bytes]:
    """`{"batches": [{..., "jobs": [{"result": ...}]}]}`"""
    sink = Sink()
    sink.write(b'{"batches": [')
    for n, line in enumerate(lines):
        head = json.dumps(_facts(line))[:-1]
        sink.write(f'{", " if n else ""}{head}, "jobs": ['.encode())
        for m, job in enumerate(_jobs(core, project, line.batch.id)):
            sink.write(b",\n" if m else b"\n")
            for piece in _told(core, job):
                sink.write(piece)
                if sink.full():
                    yield sink.taken()
        sink.write(b"]}")
    sink.write(b"]}\n")
    yield sink.taken()


MADE: Final[dict[str, tuple[Callable[[Core, UUID, Sequence[Line]], Iterator[bytes]], str]]] = {
    "zip": (zipped, "application/zip"),
    "json": (listed, "application/json"),
}


def _facts(line: Line) -> dict[str, object]:
    batch = line.batch.model_dump(mode="json")
    names = ("id", "name", "status", "device_type", "tags", "created_at", "started_at", "ended_at")
    return {name: batch[name] for name in (*names, "jobs_total")} | {"submitted_by": line.who}


def _jobs(core: Core, project: UUID, batch: UUID) -> Iterator[Kept]:
    """No connection is held while the browser takes its time."""
    after = 0
    while True:
        with reading(core.engine, project) as reader:
            found = kept_results(reader, project, batch, after)
        yield from found
        if not found:
            return
        after = found[-1].ordinal


def _told(core: Core, job: Kept) -> Iterator[bytes]:
    """The JSON of the job, its result as the device gave it."""
    facts = {"job_id": str(job.job), "ordinal": job.ordinal, "status": job.status}
    head = json.dumps({**facts, "reason": job.reason})[:-1]
    try:
        pieces = _result(core, job)
    except NotFound as error:
        yield f'{head}, "result": null, "missing": {json.dumps(str(error))}}}'.encode()
        return
    yield f'{head}, "result": '.encode()
    yield from pieces
    yield b"}"


def _result(core: Core, job: Kept) -> Iterator[bytes]:
    if job.ref is None:
        return iter([(job.value or "null").encode()])
    return read_object(core.settings.store_url, core.settings.s3, job.ref)
