"""Devices: a lane for each, and what an operator does with one."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import Response

from orchestrator.api.auth import core_of
from orchestrator.api.portal.forms import Act, acting
from orchestrator.api.portal.lanes import TICKS, view
from orchestrator.api.portal.live import live
from orchestrator.api.portal.route import pages
from orchestrator.api.portal.topics import Events, Swap, Topic, shown
from orchestrator.api.portal.view import fragment, go_to, page
from orchestrator.api.portal.visitor import Visits
from orchestrator.errors import Flaw, Rejected
from orchestrator.services import device
from orchestrator.store.listings_devices import get_device
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.submissions import Report
from orchestrator.store.transaction import Transaction
from schemas.words import DrainWhen, Scope

router = pages()
EVERY_S: Final = 2.0
LONGEST: Final = 500
Minutes = Annotated[Literal["10", "60", "360", "1440"], Query()]
Operating = Annotated[Act, acting(Scope.OPERATE)]
SAID: Final = {
    DrainWhen.AFTER_JOB: "{} is out of service from the next job on.",
    DrainWhen.AFTER_BATCH: "{} takes no other batch than the one that it has.",
    DrainWhen.NOW: "{} is out of service: what ran there is stopped, and runs again later.",
}


@router.get("/devices")
def devices(request: Request, visitor: Visits, minutes: Minutes = "360") -> Response:
    with reading(core_of(request).engine) as reader:
        found = view(reader, visitor.project, int(minutes))
    return page(request, "devices.html", view=found, ranges=list(TICKS), modes=list(DrainWhen))


@live(router, "/live/devices")
def topic(visitor: Visits, minutes: Minutes = "360", shown: Annotated[str, Query()] = "") -> Topic:
    """`shown` is of the page that asks: it says when it shows others than there are."""
    news = partial(_news, int(minutes), shown[:64])
    return Topic(key=f"{minutes} {shown[:64]}", news=news, every_s=EVERY_S)


def _news(minutes: int, known: str, reader: Reader, project: UUID, events: Events) -> list[Swap]:
    found = view(reader, project, minutes)
    draw = partial(fragment, "lanes.html")
    swaps = [shown("lanes-others", draw("others", found.shown != known, minutes))]
    for group in found.groups:
        swaps.append(shown(f"line-{group.id}", draw("line", group)))
        swaps.append(shown(f"axis-{group.id}", draw("axis", group, found)))
        for lane in group.lanes:
            swaps.append(shown(f"lane-{lane.row.id}", draw("state", lane)))
            swaps.append(shown(f"strip-{lane.row.id}", draw("strip", lane, found)))
    return swaps


@router.post("/devices/{name}/drain")
def drain(request: Request, name: str, act: Operating) -> Response:
    """Out of service, with a message that users see."""
    word = act.form.needed("when")
    if word not in list(DrainWhen):
        raise Rejected([Flaw("when", f"must be one of {', '.join(DrainWhen)}")])
    when, reason = DrainWhen(word), act.form.needed("reason", LONGEST)
    _decide(act, name, lambda tx: device.TAKE_OUT[when](act.core, tx, name, reason))
    return go_to(request, _back(act), SAID[when].format(name))


@router.post("/devices/{name}/resume")
def resume(request: Request, name: str, act: Operating) -> Response:
    _decide(act, name, lambda tx: device.resume(act.core, tx, name))
    return go_to(request, _back(act), f"{name} is back in service.")


def _back(act: Act) -> str:
    """To the page that the form was on."""
    minutes = act.form.get("minutes")
    return f"/devices?minutes={minutes}" if minutes in map(str, TICKS) else "/devices"


def _decide(act: Act, name: str, verb: Callable[[Transaction], None]) -> None:
    def decide(tx: Transaction) -> Report:
        # First: a lane of another project's controller is not there.
        get_device(tx.connection, act.visitor.project, name)
        device.check_is_operators(act.core, tx, name)
        verb(tx)
        return {"device": name}

    act.run(decide)
