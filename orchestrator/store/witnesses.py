"""The witness logs: read from the object store, to which the workers ship them."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from orchestrator.store.objects import CHUNK_BYTES, StoreAway, open_store
from schemas.objects import S3
from schemas.witness import FOLDER, LONGEST_LINE

_SUFFIX: Final = ".log"


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A part of one log. `written_at`: when the store last took it, so none of its entries is
    younger; by the store's clock."""

    key: str
    first_seq: int
    size: int
    written_at: datetime


class Witnesses:
    """What is in the store now; a log that grows meanwhile is read up to some later entry, and
    never with a gap. Raises `StoreAway` where the store does not answer."""

    def __init__(self, store_url: str, s3: S3, *, there: bool = True) -> None:
        """A folder on this machine is given as `file:///...`, like the workers' own store. Not
        `there`: nobody has made it yet, nor do we, and nothing is in it."""
        with _answering():
            self._store: Any = open_store(store_url, s3) if there else None

    def devices(self) -> list[str]:
        return self._folders(FOLDER)

    def journals(self, device: str) -> list[str]:
        """One device has several where several nodes served it, or where a disk was lost."""
        return self._folders(f"{FOLDER}/{device}")

    def segments(self, device: str, journal: str) -> list[Segment]:
        """In order. Names that no worker gives are left out."""
        import obstore

        folder = f"{FOLDER}/{device}/{journal}"
        with _answering():
            found = [each for page in obstore.list(self._store, folder) for each in page]
        segments = [
            Segment(
                key=each["path"],
                first_seq=int(name),
                size=each["size"],
                written_at=each["last_modified"],
            )
            for each in found
            if (name := each["path"].removeprefix(f"{folder}/").removesuffix(_SUFFIX)).isdecimal()
        ]
        return sorted(segments, key=lambda segment: segment.first_seq)

    def lines(self, device: str, journal: str) -> Iterator[bytes]:
        """The whole log, line by line without their ends; a piece at a time in memory."""
        for segment in self.segments(device, journal):
            yield from self.lines_of(segment)

    def lines_of(self, segment: Segment) -> Iterator[bytes]:
        """What comes after the last line's end was never written whole, and is left out."""
        rest = b""
        for piece in self._pieces(segment):
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
            if len(rest) > LONGEST_LINE:
                # Handed on as it is: whoever checks the chain says what is wrong with it.
                yield rest
                return

    def _pieces(self, segment: Segment) -> Iterator[bytes]:
        import obstore

        with _answering():
            found = obstore.get(self._store, segment.key)
            for piece in found.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(piece)

    def _folders(self, inside: str) -> list[str]:
        import obstore

        if self._store is None:
            return []
        with _answering():
            found = obstore.list_with_delimiter(self._store, inside)
        return sorted(str(each).removeprefix(f"{inside}/") for each in found["common_prefixes"])


@contextmanager
def _answering() -> Generator[None]:
    # Imported when it is first needed: most processes never read an object.
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        raise StoreAway(
            f"the witness logs cannot be read from the object store: {type(error).__name__}"
        ) from error
