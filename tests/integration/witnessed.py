"""A device without a worker that keeps a real journal, and ships it as a worker does."""

import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from orchestrator.services.core import Core
from schemas.task import JobTask, Window
from tests.integration.puppet import TYPE, Outcome, Puppet, done, skipped
from workers.journal import Journal, kept
from workers.results import ObjectStore
from workers.shipping import Shipper


@dataclass
class Witnessed:
    puppet: Puppet
    journal: Journal
    shipper: Shipper

    @classmethod
    def online(
        cls, core: Core, device: str, folder: Path, *, device_type: str = TYPE, segment: int = 2**20
    ) -> Self:
        journal = Journal(folder / device / str(uuid.uuid4()), device=device)
        journal.opened()
        puppet = Puppet.online(core, device, device_type=device_type, journal=journal.id)
        return cls(puppet, journal, shipper_of(core, journal, device, segment))

    def run(self, window: Window, task: JobTask) -> Outcome:
        if not self.puppet.has_permit(task):
            return skipped(task)
        self.begin(window, task)
        outcome = done(task)
        self.journal.finished(outcome, at=time.time())
        return outcome

    def begin(self, window: Window, task: JobTask) -> None:
        self.journal.began(
            task.job,
            task.run,
            batch=window.batch,
            window=window.window,
            fence=window.fence,
            at=time.time(),
        )

    def serve_all(self) -> None:
        """Until nothing is left to do. What was written is not shipped yet."""
        while self.puppet.inbox:
            window = self.puppet.take()
            self.puppet.answer(window, *[self.run(window, task) for task in window.jobs])

    def ended(self, task: JobTask, outcome: Outcome) -> Outcome:
        self.journal.finished(kept(outcome), at=time.time())
        return outcome


def shipper_of(core: Core, journal: Journal, device: str, segment: int = 2**20) -> Shipper:
    settings = core.settings

    def store() -> ObjectStore:
        return ObjectStore(settings.store_url, settings.s3, retry_s=0.0)

    return Shipper(journal, device=device, store=store, segment_bytes=segment)
