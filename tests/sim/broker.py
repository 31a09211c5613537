"""Redis in memory: permits, sessions and beats that expire, and queues that lose and double."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import redis

from orchestrator.broker.chains import NONE, Chains
from orchestrator.broker.permits import Heard, Permits, Run
from orchestrator.broker.streams import Streams
from orchestrator.errors import Unavailable
from schemas.task import BEAT_TTL_MS, Beat, Window

Message = tuple[str, Any]
BEAT_TTL_S: Final = BEAT_TTL_MS / 1000


@dataclass
class Broker:
    """`forgetful` says that what is asked next takes effect, but its answer is lost."""

    up: bool = True
    forgetful: bool = False
    now: float = 0.0
    permits: set[Run] = field(default_factory=set)
    interrupts: set[Run] = field(default_factory=set)
    sessions: dict[str, tuple[str, float]] = field(default_factory=dict)
    beats: dict[str, tuple[Beat, float]] = field(default_factory=dict)
    devices: defaultdict[str, list[Window]] = field(default_factory=lambda: defaultdict(list))
    control: list[Message] = field(default_factory=list)
    met: dict[str, str] = field(default_factory=dict)
    since: float | None = -1e9
    knows_us: bool = False

    def flush(self) -> None:
        """FLUSHALL, or a restart without persistence."""
        self.permits.clear()
        self.interrupts.clear()
        self.sessions.clear()
        self.beats.clear()
        self.met.clear()
        self.devices.clear()
        self.control.clear()
        self.since = None
        self.knows_us = False

    def remembers_for(self) -> float:
        """For how many seconds it has forgotten nothing; counted from the first time of asking."""
        self.since = self.now if self.since is None else self.since
        return self.now - self.since

    def session_of(self, device: str) -> str | None:
        held = self.sessions.get(device)
        return held[0] if held is not None and held[1] > self.now else None

    def ask(self) -> None:
        """At the start of every call of the orchestrator."""
        if not self.up:
            raise Unavailable("the broker does not answer")

    def answer(self) -> None:
        """At its end, when it has had its effect."""
        if self.forgetful:
            self.forgetful = False
            raise Unavailable("the answer of the broker was lost")


class SimPermits(Permits):
    """The orchestrator's side. `meanwhile` lets workers go on in the midst of a transaction."""

    broker: Broker
    meanwhile: Callable[[], None]

    def __init__(self, broker: Broker, meanwhile: Callable[[], None]) -> None:
        super().__init__(cast(redis.Redis, None), 0)
        object.__setattr__(self, "broker", broker)
        object.__setattr__(self, "meanwhile", meanwhile)

    def grant(self, runs: Iterable[Run]) -> None:
        self.broker.ask()
        self.broker.permits.update(runs)
        self.broker.answer()
        self.meanwhile()

    def take_back(self, runs: Sequence[Run]) -> set[Run]:
        if not runs:
            return set()
        self.broker.ask()
        taken = self.broker.permits & set(runs)
        self.broker.permits -= taken
        self.broker.answer()
        self.meanwhile()
        return taken

    def interrupt(self, runs: Iterable[Run]) -> None:
        self.broker.ask()
        self.broker.interrupts.update(runs)

    def beats(self, devices: Sequence[str]) -> Mapping[str, Heard]:
        self.broker.ask()
        known, now = self.broker.beats, self.broker.now
        return {
            name: Heard(known[name][0], now - known[name][1])
            for name in devices
            if name in known and now - known[name][1] < BEAT_TTL_S
        }

    def session_of(self, device: str) -> str | None:
        self.broker.ask()
        return self.broker.session_of(device)

    def meet(self, device: str, session: str) -> None:
        self.broker.ask()
        self.broker.met[device] = session

    def have_greet(self, device: str) -> None:
        self.broker.ask()
        self.broker.met.pop(device, None)

    def has_forgotten(self) -> bool:
        self.broker.ask()
        forgotten, self.broker.knows_us = not self.broker.knows_us, True
        return forgotten


class SimChains(Chains):
    """Every window that was sent lies on its device's queue."""

    broker: Broker

    def __init__(self, broker: Broker) -> None:
        super().__init__(cast(Any, None))
        object.__setattr__(self, "broker", broker)

    def send(self, window: Window, headers: Mapping[str, str] = NONE) -> None:
        self.broker.ask()
        self.broker.devices[window.device].append(window)
        self.broker.answer()


class NoStreams(Streams):
    """Nobody watches."""

    def announce(self, news: object) -> None:
        pass
