"""Request bodies of this door: gzipped or not, bounded by what they unfold to."""

import hashlib
import zlib
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request

from orchestrator.api.auth import core_of
from orchestrator.api.bodies import too_large
from orchestrator.api.refusals import BadRequest, UnsupportedBody

GZIP: Final = 16 + zlib.MAX_WBITS


class BadGzip(BadRequest):
    code = "bad_gzip"


@dataclass(frozen=True, slots=True)
class Sent:
    """`wire` is the SHA-256 of what came over the wire, before it was unfolded."""

    text: bytes
    wire: str


async def read_body(request: Request) -> Sent:
    return await read_up_to(request, core_of(request).settings.max_body_bytes)


async def read_up_to(request: Request, most: int) -> Sent:
    """Inflated as it arrives, so that a bomb is refused when it begins to unfold."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > most:
        raise too_large(most)
    unfold = _unfolding(request.headers.get("content-encoding", "identity").lower(), most)
    body, wire = bytearray(), hashlib.sha256()
    async for chunk in request.stream():
        wire.update(chunk)
        body += unfold.take(chunk)
        if len(body) > most:
            raise too_large(most)
    unfold.end()
    return Sent(bytes(body), wire.hexdigest())


Body = Annotated[Sent, Depends(read_body)]


class _Plain:
    def take(self, chunk: bytes) -> bytes:
        return chunk

    def end(self) -> None:
        pass


class _Gzip:
    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._inflate: Any = zlib.decompressobj(GZIP)
        self._any = False

    def take(self, chunk: bytes) -> bytes:
        self._any = self._any or bool(chunk)
        try:
            unfolded: bytes = self._inflate.decompress(chunk, self._left + 1)
        except zlib.error as error:
            raise BadGzip(f"the body is not gzip: {error}") from None
        self._left -= len(unfolded)
        if self._left < 0:
            raise too_large(self._most)
        if self._inflate.unused_data:
            raise BadGzip("the body goes on after the end of its gzip stream")
        return unfolded

    def end(self) -> None:
        if self._any and not self._inflate.eof:
            raise BadGzip("the body is cut off: its gzip stream has no end")


def _unfolding(encoding: str, most: int) -> _Plain | _Gzip:
    if encoding in ("identity", ""):
        return _Plain()
    if encoding == "gzip":
        return _Gzip(most)
    raise UnsupportedBody(f"the body is encoded as {encoding!r}; send gzip, or as it is")
