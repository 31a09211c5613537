"""Rules of users' own controllers: names of sessions, of assignments, and how often to try."""

import re
from typing import Final, NamedTuple
from uuid import UUID

from schemas.controller import INFRASTRUCTURE_MOST, LOST_MOST

_ASSIGNMENT: Final = re.compile(
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.([0-9]{1,9})", re.ASCII
)
_VERSION: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}", re.ASCII)


class Assignment(NamedTuple):
    """One run of one job, as a controller names it."""

    job: str
    run: int

    def __str__(self) -> str:
        return f"{self.job}.{self.run}"


def assignment_in(text: str) -> Assignment | None:
    """None for what we cannot have given."""
    found = _ASSIGNMENT.fullmatch(text)
    return None if found is None else Assignment(found[1], int(found[2]))


def session_of(controller: UUID, session: int) -> str:
    """The session of each of its lanes."""
    return f"{controller}.{session}"


def is_later(lane: str | None, session: int) -> bool:
    """Whether a lane, by the session that it is in, is past that registration of its name."""
    number = (lane or "").rpartition(".")[2]
    return number.isdecimal() and int(number) > session


def journal_of(controller: UUID, lane: int) -> str:
    """The same for every session: a run that was begun may still come home, from whoever has the
    name, as long as its lease lasts."""
    return f"{controller}-{lane}"


def offer_of(session: int, request: str) -> str:
    return f"{session}:{request}"


def was_offered(offer: str | None, session: int) -> bool:
    return offer is not None and offer.startswith(offer_of(session, ""))


def is_too_old(version: str, least: str) -> bool:
    """By the numbers that it begins with; what has none is too old."""
    return _numbers(version) < _numbers(least)


def _numbers(version: str) -> tuple[int, ...]:
    found = _VERSION.match(version)
    return () if found is None else tuple(map(int, found[0].split(".")))


def is_lost_for_good(silent: int) -> bool:
    """`silent`: on how many runs nobody was heard of the job any more, this one among them."""
    return silent >= LOST_MOST


def is_broken_for_good(broken: int) -> bool:
    """`broken`: how often a controller said that it could not, this time among them."""
    return broken > INFRASTRUCTURE_MOST
