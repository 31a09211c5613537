"""A worker that the test leads by the hand, from one job boundary to the next."""

from schemas.task import Began
from tests.sim.worker import SimWorker
from workers.executors.base import Work
from workers.executors.child import Ending, Stopped, Tick


class Hand(SimWorker):
    """It begins a job when it is told to, and ends it as it is told to."""

    may_begin = False
    word: Ending | None = None
    at: tuple[str, int] | None = None
    gated = False
    mute = False

    def boot(self) -> None:
        super().boot()
        self.at = self.word = None
        self.may_begin = self.gated = False

    def ready(self, tick: Tick) -> bool:
        self.gated = True
        while not self.may_begin and not tick():
            self.give_way()
        self.gated = False
        return super().ready(tick)

    def on_device(self, work: Work, tick: Tick) -> Ending:
        self.at, self.word, self.may_begin = (work.job, work.run), None, False
        while self.answer() is None and not self.is_cut() and not tick():
            self.give_way()
        self.at = None
        return self.answer() or Stopped()

    def answer(self) -> Ending | None:
        return self.word

    def tell(self, began: Began) -> None:
        if not self.mute:
            super().tell(began)

    def waits(self) -> bool:
        return self.gated or self.at is not None
