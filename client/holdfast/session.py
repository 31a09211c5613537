"""What every handle shares: the connection, and how far each batch's events were read."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from holdfast.records import Event
from holdfast.transport import Transport


class Cursors:
    """Where each batch's events were last read to, so that the next wait need not read the
    whole history again."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def of(self, batch_id: str) -> str | None:
        return self._seen.get(batch_id)

    def move(self, batch_id: str, events: Sequence[Event]) -> None:
        if events:
            self._seen[batch_id] = events[-1].id

    def forget(self, batch_id: str) -> None:
        self._seen.pop(batch_id, None)


@dataclass(frozen=True)
class Session:
    transport: Transport
    cursors: Cursors = field(default_factory=Cursors)
