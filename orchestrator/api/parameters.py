"""Query parameters that several routes share."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import AwareDatetime

from orchestrator.api.auth import Caller, requires
from orchestrator.errors import Flaw, Rejected
from orchestrator.store.listings_reading import LIMIT_DEFAULT, LIMIT_MOST
from schemas.words import Scope

Reads = Annotated[Caller, Depends(requires(Scope.READ))]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MOST, description="Entries in one page, at most.")]
Cursor = Annotated[
    str | None,
    Query(max_length=500, description="`next_cursor` of the page before. Opaque."),
]
Moment = Annotated[AwareDatetime | None, Query()]
DEFAULT = LIMIT_DEFAULT


async def refuse_unknown(request: Request) -> None:
    """A misspelt filter must not silently be none."""
    if not request.url.query:
        return
    known = _known(request.scope["route"])
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if unknown:
        words = ", ".join(known) or "none"
        raise Rejected(
            [Flaw(name, f"is not a parameter here; those are: {words}") for name in unknown]
        )


def _known(route: APIRoute) -> tuple[str, ...]:
    return tuple(param.alias for each in flat(route.dependant) for param in each.query_params)


def flat(dependant: Dependant) -> Iterator[Dependant]:
    """It, and all that it depends on."""
    yield dependant
    for each in dependant.dependencies:
        yield from flat(each)
