"""A worker in the simulation: the real `Execution`, on a journal, permits and a device in memory.

It runs in a greenlet, and gives way at every point where the real one would wait for something:
there the process can be killed or frozen, and everybody else goes on.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, cast

from greenlet import greenlet

from schemas.task import Beat, Began, Hello, Result, Settle, Window
from tests.sim import device
from tests.sim.broker import Broker
from tests.sim.device import Floor
from tests.sim.journal import MemoryJournal, Node
from workers.execute import Execution, Holding, Shift
from workers.executors.base import Work
from workers.executors.child import Broke, Ending, Returned, Stopped, Tick
from workers.journal import Journal
from workers.permits import PermitsUnreachable
from workers.session import LEASHED_FOR, OURS_FOR

LEASE_S: Final = 6.0
PREFETCH: Final = 2
GREET_AGAIN_S: Final = 5.0
NEVER: Final = float("inf")


class SimBeat(NamedTuple):
    """As `Beat`, and ten times as cheap."""

    type: str
    session: str
    journal: str
    window: int | None
    idle_s: float


class SimHolding(Holding):
    """Counts in the time of the simulation."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._window: int | None = None
        self._since = now()

    def let_go(self) -> None:
        self._window, self._since = None, self._now()

    def look(self) -> tuple[int | None, float]:
        return self._window, 0.0 if self._window is not None else self._now() - self._since


class SimWorker:
    """One process at a time for one device on one node; `boot` starts the next."""

    def __init__(self, node: Node, broker: Broker, floor: Floor, number: int) -> None:
        self.node = node
        self.broker = broker
        self.floor = floor
        self.name = f"w{number}"
        self.boots = 0
        self.frozen_until = 0.0
        self.deaf_until = 0.0
        self.boot()

    def boot(self) -> None:
        """Whatever its executor was at is killed; the journal stays."""
        self.floor.power_off(self.node.device, set(self.node.runs))
        self.boots += 1
        self.session: str | None = None
        self.renewed_at = self.greeted_at = -NEVER
        self.hello_due = False
        self.busy: greenlet | None = None
        self.waits_until = 0.0
        self.cuts = self.warm_since = 0
        self.prefetched: list[Window] = []
        self.journal = MemoryJournal(self.node)
        self.holding = SimHolding(lambda: self.broker.now)
        self.execution = Execution(
            device=self.node.device,
            shift=Shift(session=self.current),
            permits=self,
            journal=cast(Journal, self.journal),
            child=self,
            packer=self,
            tell=self.tell,
            holding=self.holding,
            clock=lambda: self.broker.now,
            pause=lambda seconds: self.give_way(),
        )

    # What the process does, a little at a time.

    def step(self) -> bool:
        """One stretch of work, up to where it would wait; False when there is none to do."""
        if self.frozen_until > self.broker.now:
            return False
        if self.busy is None:
            self.fetch()
            if not self.prefetched:
                return False
            window = self.prefetched.pop(0)
            self.busy = greenlet(lambda: self.serve(window))
        self.busy.switch()
        if self.busy is not None and self.busy.dead:
            self.busy = None
        return True

    def fetch(self) -> None:
        queue = self.broker.devices[self.node.device]
        while self.hears() and self.current() and queue and len(self.prefetched) < PREFETCH:
            self.prefetched.append(queue.pop(0))

    def serve(self, window: Window) -> None:
        settle = self.execution.execute(window)
        self.give_way()
        self.publish(settle)
        self.holding.let_go()

    def publish(self, settle: Settle) -> None:
        for _ in range(4):
            if self.hears():
                self.broker.control.append(("settle", settle))
                return
            self.give_way()
        self.hello_due = True

    def waits(self) -> bool:
        """Whether its device is at something that only time will end."""
        return self.busy is not None and self.broker.now < self.waits_until

    def give_way(self) -> None:
        hub = greenlet.getcurrent().parent
        assert hub is not None
        hub.switch()

    def hears(self) -> bool:
        """Whether Redis can be reached from here."""
        return self.broker.up and self.deaf_until <= self.broker.now

    # The session, as `workers.session` keeps it.

    def current(self) -> str | None:
        overdue = self.broker.now - self.renewed_at > OURS_FOR * LEASE_S
        return None if overdue else self.session

    def tick(self) -> None:
        if self.frozen_until > self.broker.now:
            return
        if self.hears():
            self.look_at_session(self.broker.session_of(self.node.device))
        elif self.current() is None:
            self.session = None

    def look_at_session(self, holder: str | None) -> None:
        if self.session is None:
            # Its own last session, of a former process, is seized.
            free = self.broker.remembers_for() > LEASE_S if holder is None else False
            if free or (holder is not None and holder == self.node.session):
                self.seize()
        elif holder == self.session or (holder is None and self.is_within_lease()):
            self.hello_due = self.hello_due or holder is None or self.is_unheard()
            self.renew()
        else:
            self.session = None
        if self.hello_due and self.session is not None:
            self.say_hello()

    def is_within_lease(self) -> bool:
        return self.broker.now - self.renewed_at <= LEASE_S

    def is_unheard(self) -> bool:
        met = self.broker.met.get(self.node.device) == self.session
        return not met and self.broker.now - self.greeted_at > GREET_AGAIN_S

    def seize(self) -> None:
        self.boots += 1
        self.session = self.node.session = f"{self.name}#{self.boots}"
        self.renew()
        self.hello_due = True

    def renew(self) -> None:
        assert self.session is not None
        now = self.broker.now
        if now > self.leash():
            self.cuts += 1
        self.renewed_at = now
        window, idle_s = self.holding.look()
        beat = SimBeat(self.node.type, self.session, self.node.journal, window, idle_s)
        self.broker.sessions[self.node.device] = (self.session, now + LEASE_S)
        self.broker.beats[self.node.device] = (cast(Beat, beat), now)

    def say_hello(self) -> None:
        assert self.session is not None
        hello = Hello(
            device=self.node.device,
            type=self.node.type,
            session=self.session,
            journal=self.node.journal,
            executor="sim",
            outcomes=list(self.journal.unacknowledged()),
        )
        self.broker.control.append(("hello", hello))
        self.hello_due = False
        self.greeted_at = self.broker.now

    # What `Execution` asks for: permits, an executor, a place for results.

    def take(self, job: str, run: int) -> bool:
        if not self.hears():
            raise PermitsUnreachable
        mine = (job, run) in self.broker.permits
        self.broker.permits.discard((job, run))
        return mine

    def interrupted(self, job: str, run: int) -> bool:
        return self.hears() and (job, run) in self.broker.interrupts

    def tell(self, began: Began) -> None:
        if self.hears():
            self.broker.control.append(("began", began))

    def ready(self, tick: Tick) -> bool:
        self.give_way()
        self.warm_since = self.cuts
        return not self.is_cut()

    def run(self, work: Work, tick: Tick) -> Ending:
        self.give_way()
        return Stopped() if self.is_cut() else self.on_device(work, tick)

    def is_cut(self) -> bool:
        """Whether the leash has killed the executor that was ready."""
        return self.cuts > self.warm_since or self.broker.now > self.leash()

    def leash(self) -> float:
        """When its executor is killed unless the session is renewed before."""
        return self.renewed_at + LEASHED_FOR * LEASE_S

    def on_device(self, work: Work, tick: Tick) -> Ending:
        now = self.broker.now
        until = now + work.payload["s"]
        fence = self.node.runs[work.job, work.run].fence
        began = device.Began(now, self.node.device, work.batch, work.job, work.run, fence)
        self.floor.begin(began, until, self.leash)
        how: Ending = Broke("it failed") if work.payload["fails"] else Returned(b"{}")
        self.waits_until = until
        while self.broker.now < until:
            self.give_way()
            if self.is_cut() or tick():
                how = Stopped()
                break
        self.floor.end(self.node.device, work.job, work.run, type(how).__name__)
        self.give_way()
        return how

    def new_window(self) -> None:
        pass

    def pack(self, job: str, run: int, text: bytes) -> Result:
        return Result(value=None, size=2, sha256=f"{job}/{run}")
