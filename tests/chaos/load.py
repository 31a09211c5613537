"""The load: customers in threads, at a pace that spreads their jobs over the time there is."""

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.customer import Customer
from tests.chaos.habits import HABITS
from tests.chaos.ledger import Ledger
from tests.chaos.plant import Plant

CUSTOMERS: Final = 9


@dataclass
class Load:
    """About `jobs` jobs, spread over `seconds`; `stop` ends it early."""

    plant: Plant
    seed: int
    jobs: int
    seconds: float
    ledger: Ledger = field(default_factory=Ledger)
    sent: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _began: float = 0.0

    def start(self) -> None:
        self._began = time.monotonic()
        for n in range(CUSTOMERS):
            thread = threading.Thread(
                target=self._serve, args=(n,), name=f"customer-{n}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Once the stack is healed: customers finish what they are at."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
            if thread.is_alive():
                self.ledger.broken.append(f"{thread.name} waits for an answer still")

    def abandon(self) -> None:
        self._stopping.set()

    def turn(self, size: int) -> bool:
        """Waits until it is time for `size` more jobs; False: there are none to come."""
        while not self._stopping.is_set() and self.sent < self.jobs:
            pace = self.jobs * (time.monotonic() - self._began) / self.seconds
            if self.sent <= pace:
                self.sent += size
                return True
            self._stopping.wait(0.1)
        return False

    def _work(self, customer: Customer) -> None:
        while True:
            (habit,) = customer.dice.choices(HABITS, [weight for weight, _, _ in HABITS])
            _, size, deed = habit
            if not self.turn(size):
                return
            deed(customer)

    def _serve(self, n: int) -> None:
        project = sorted(self.plant.projects)[n % len(self.plant.projects)]
        dice = random.Random(f"{self.seed} {n}")
        customer = Customer(self.plant, project, self.ledger, dice, self._stopping.is_set)
        try:
            self._work(customer)
        except Exception as error:
            self.ledger.broken.append(f"customer-{n} was told {type(error).__name__}: {error}")
        finally:
            customer.close()
