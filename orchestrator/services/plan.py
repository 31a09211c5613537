"""What becomes of each entry of a submission, before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from orchestrator.config import Settings
from orchestrator.domain.entries import Course, Leader, Needs, Room, course
from orchestrator.services import content, targets
from orchestrator.services.content import Asked
from orchestrator.services.targets import Target
from orchestrator.store import entries
from orchestrator.store.computations import Computation
from orchestrator.store.jobs import new_id
from orchestrator.store.listings_reading import Reader


class Submitter(NamedTuple):
    project: UUID
    user: UUID | None
    key: UUID | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A valid entry whose target is there. `key`: None where it shares nothing."""

    job: UUID
    asked: Asked
    target: Target
    key: bytes | None
    needs: Needs


@dataclass(frozen=True, slots=True)
class Drafts:
    """`entries`: in the order given; a text says why one is refused."""

    entries: Sequence[Draft | str]
    rooms: Mapping[str, Room]

    @property
    def valid(self) -> list[Draft]:
        return [each for each in self.entries if isinstance(each, Draft)]

    @property
    def first_of_key(self) -> dict[bytes, UUID]:
        first: dict[bytes, UUID] = {}
        for each in self.valid:
            if each.key is not None:
                first.setdefault(each.key, each.job)
        return first


def draft(connection: Reader, settings: Settings, who: Submitter, given: Sequence[Any]) -> Drafts:
    asked = [content.read(each) for each in given]
    wanted = {each.target for each in asked if isinstance(each, Asked)}
    found = targets.find(connection, settings, who.project, who.user, wanted)
    drafts = [
        each if isinstance(each, str) else _draft(each, found.targets[each.target])
        for each in asked
    ]
    return Drafts(drafts, found.rooms)


def _draft(asked: Asked, target: Target | str) -> Draft | str:
    if isinstance(target, str):
        return target
    if asked.job_type not in target.job_types:
        return f"Compute target {target.name!r} does not run {asked.job_type}"
    key = content.key_of(asked.payload, target.backend) if asked.use_cache else None
    return Draft(new_id(), asked, target, key, Needs(asked.job_type))


def fill(connection: Reader, who: Submitter, rooms: Mapping[str, Room]) -> None:
    """With what pending and running jobs take of them already."""
    if not rooms:
        return
    for one in entries.taken(connection, who.project, list(rooms)):
        needs = Needs(one.job_type, one.cores, one.memory_mb)
        rooms[one.device_type].take(needs, one.jobs)


class Planned(NamedTuple):
    """`leader`: whose result it takes, if it does not run itself. `leads`: whether its twins are
    to follow it from now on."""

    draft: Draft
    course: Course
    leader: UUID | None
    leads: bool


def plan(
    drafts: Sequence[Draft | str],
    known: Mapping[bytes, Computation],
    rooms: Mapping[str, Room],
) -> list[Planned | str]:
    """In request order; who is given a result takes no room."""
    leaders = {
        key: Leader(each.leader, each.device_type or "", each.status, each.awaited)
        for key, each in known.items()
    }
    return [each if isinstance(each, str) else _plan(each, leaders, rooms) for each in drafts]


def _plan(draft: Draft, leaders: dict[bytes, Leader], rooms: Mapping[str, Room]) -> Planned | str:
    leader = leaders.get(draft.key) if draft.key is not None else None
    way = course(leader, draft.target.device_type)
    if leader is not None and way is not Course.RUN:
        return Planned(draft, way, leader.job, False)
    room = rooms.get(draft.target.device_type)
    if room is not None:
        if refusal := room.refusal(draft.needs):
            return refusal
        room.take(draft.needs)
    leads = draft.key is not None and (
        leader is None or leader.gives_way_to(draft.target.device_type)
    )
    if leads and draft.key is not None:
        leaders[draft.key] = Leader(draft.job, draft.target.device_type, "PENDING")
    return Planned(draft, way, None, leads)
