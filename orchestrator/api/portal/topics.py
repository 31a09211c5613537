"""What an open page is told: topics, and the changes to the page that they answer with.

For whoever builds a page. On its server side one function makes the topic of a request, and one
says what is new; pages of one project with an equal `key` share what is rendered, so nothing in
it may depend on who looks (what depends on a right goes into the key):

    @live(router, "/live/batches/{batch_id}")
    def topic(request: Request, visitor: Visits, batch_id: UUID) -> Topic:
        check that the batch is the visitor's project's: raise NotFound
        return Topic(key=str(batch_id), batch=batch_id, news=partial(_news, batch_id))

    def _news(batch_id: UUID, reader: Reader, project: UUID, events: Events) -> list[Swap]:
        job rows that the events name: [shown("job-...", html), ...]

In the template, the element that connects swaps nothing itself and closes when told so:

    <main hx-sse:connect="/live/batches/{{ id }}" hx-sse:close="over" hx-swap="none"
          hx-trigger="load, every 5s">

(`every 5s` connects again where the very first call failed, and does nothing while connected.)
`over`, `stale` and `fresh` come as events of that element: the right to look is lost; what is
shown may be old, because the database does not answer; it is right again. A hidden tab lets go of
its connection and is told all when it is seen again: `news` with `events` None.

Everything is safe to be told twice. Focus, selection and the state of a checkbox survive `shown`
as long as the elements within have ids of their own. What names an id that is not on the page is
passed over.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal
from uuid import UUID

from orchestrator.store.listings_reading import Reader
from schemas.event import Event

Events = Sequence[Event] | None
How = Literal["outerMorph", "afterbegin", "beforeend", "delete"]


@dataclass(frozen=True, slots=True)
class Swap:
    """One change to a page: `html` is the whole element `id`, empty where it goes."""

    id: str
    html: str
    how: How = "outerMorph"
    into: str = ""
    most: int | None = None


News = Callable[[Reader, UUID, Events], Sequence[Swap]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What the pages of one address show. `news(reader, project, events)` runs in a thread:

    - `events` None: all that may have changed since the page was rendered. Asked when a page
      connects, again after a gap, and instead of very many events.
    - some events, oldest first, of the project, or of `batch` alone where that is set: what they
      changed. Read the state as it is now; an event may come twice.
    - no events: `every_s` passed. For what others change, too: the lanes of devices.

    Of several swaps of one id the last counts; one that was told last is not sent again.
    """

    key: str
    news: News
    batch: UUID | None = None
    every_s: float | None = None


def shown(id: str, html: str) -> Swap:
    """The element, changed in place if the page has it. Its `id` is in `html`, too."""
    return Swap(id, html)


def first(into: str, id: str, html: str, *, most: int | None = None) -> Swap:
    """The element, changed in place where `into` has it, put at its top where not; `into` keeps
    its first `most`. Of several the last given ends up on top."""
    return Swap(id, html, "afterbegin", into, most)


def last(into: str, id: str, html: str) -> Swap:
    """The element, changed in place where `into` has it, put at its end where not."""
    return Swap(id, html, "beforeend", into)


def gone(id: str) -> Swap:
    return Swap(id, "", "delete")


def message(name: str) -> bytes:
    """A named message: an event of the element that connected."""
    return f"event: {name}\ndata:\n\n".encode()


def frame(swaps: Sequence[Swap]) -> bytes:
    """The swaps as htmx 4 reads them (`hx-partial`), nothing for none.

    What a list has too much is removed by a second message: all targets of one are looked up
    before anything in it changes.
    """
    parts = [part for swap in swaps for part in _parts(swap)]
    surplus = {swap.into: swap.most for swap in swaps if swap.most is not None}
    trims = [
        _partial(f"#{into} > :nth-child(n+{most + 1})", "delete") for into, most in surplus.items()
    ]
    return b"".join(_message("".join(each)) for each in (parts, trims) if each)


_LINE_ENDS: Final = str.maketrans({"\r": " ", "\n": "\ndata: "})


def _message(html: str) -> bytes:
    return f"data: {html.translate(_LINE_ENDS)}\n\n".encode(errors="replace")


def _parts(swap: Swap) -> list[str]:
    itself = f'[id="{swap.id}"]'
    if not swap.into:
        return [_partial(itself, swap.how, swap.html)]
    without = f"#{swap.into}:not(:has({itself}))"
    return [_partial(itself, "outerMorph", swap.html), _partial(without, swap.how, swap.html)]


def _partial(target: str, how: How, html: str = "") -> str:
    return f'<hx-partial hx-target="{escape(target)}" hx-swap="{how}">{html}</hx-partial>'
