"""A customer: uses the stack through the real client, and keeps what it acknowledged."""

import random
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from holdfast import ApiError, Batch, Client, Conflict, ConnectionFailed, Job, NotFound, Unavailable

from tests.chaos.ledger import Ledger, Promise
from tests.chaos.plant import Plant

T = TypeVar("T")
Jobs = list[dict[str, Any]]

PATIENCE_S: Final = 40.0
"""For an answer, once nothing is broken any more."""


class Customer:
    """One of a project's users, who never takes silence for an answer."""

    def __init__(
        self,
        plant: Plant,
        project: str,
        ledger: Ledger,
        dice: random.Random,
        over: Callable[[], bool],
    ) -> None:
        self.ledger = ledger
        self.dice = dice
        self.project = project
        self.log = str(plant.log)
        self._load_is_over = over
        key = plant.projects[project].api_key
        self.clients = [Client(url, key, timeout=15, retries=1) for url in plant.urls]

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def insist(self, call: Callable[[Client], T]) -> T:
        """Asks one API and then the other, until one of them answers."""
        give_up = None
        while True:
            client = self.dice.choice(self.clients)
            try:
                return call(client)
            except (Unavailable, ConnectionFailed):
                if self._load_is_over():
                    give_up = give_up or time.monotonic() + PATIENCE_S
                    if time.monotonic() > give_up:
                        raise
            except ApiError as error:
                if error.status < 500:
                    raise
            time.sleep(0.3)

    def create(self, device_type: str, jobs: Jobs, **options: Any) -> Batch:
        """Acknowledged, and now and then asked for twice with the same key."""
        key = f"key-{uuid.UUID(int=self.dice.getrandbits(128))}"
        body = {"device_type": device_type, "jobs": jobs, **options}
        batch = self.insist(lambda client: client.submit(body, idempotency_key=key))
        self.ledger.batches.append(Promise(self.project, key, body, batch.id))
        if self.dice.random() < 0.15:
            self.ledger.asked_twice += 1
            again = self.insist(lambda client: client.submit(body, idempotency_key=key))
            if again.id != batch.id:
                self.ledger.broken.append(f"{key} made {batch.id} and {again.id}")
        return batch

    def add(self, batch: Batch, jobs: Jobs) -> list[Job]:
        """Acknowledged; empty where the batch was over by then."""
        key = f"key-{uuid.UUID(int=self.dice.getrandbits(128))}"
        try:
            added = self.insist(
                lambda client: client.attach(batch.id).add_jobs(jobs, idempotency_key=key)
            )
        except Conflict:
            return []
        self.ledger.jobs.update((job.id, batch.id) for job in added)
        self.ledger.appended[key] = [job.id for job in added]
        return added

    def cancel(self, batch: Batch, *, interrupt: bool) -> None:
        with suppress(Conflict):
            self.insist(lambda client: client.attach(batch.id).cancel(interrupt=interrupt))
            self.ledger.canceled_batches.add(batch.id)

    def cancel_jobs(self, batch: Batch, ids: list[str], *, interrupt: bool) -> None:
        with suppress(Conflict, NotFound):
            verdicts = self.insist(
                lambda client: client.attach(batch.id).cancel_jobs(interrupt=interrupt, ids=ids)
            )
            now = time.monotonic()
            self.ledger.canceled_jobs.update(
                (str(each.id), now) for each in verdicts if each.verdict == "canceled"
            )

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether it came true in time, asked twice a second."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._load_is_over():
            if condition():
                return True
            time.sleep(0.5)
        return False

    def is_over(self, batch: Batch) -> bool:
        return self.insist(lambda client: client.attach(batch.id)).is_over
