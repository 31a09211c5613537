"""A healthy past with its witness, and ways to falsify what is written down about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from sqlalchemy import text

from orchestrator.proof.report import Report, Violation
from orchestrator.proof.verify import Patience, verify
from orchestrator.services.cancel import cancel_batch
from orchestrator.services.core import Core
from orchestrator.services.sweep import sweep
from orchestrator.store.witnesses import Witnesses
from schemas.witness import Entry, first_head, line_of, read_lines, segment_key
from tests.integration.puppet import PROJECT, call, done, new_batch, status_of
from tests.integration.witnessed import Witnessed
from tests.waiting import until

NO_PATIENCE = Patience(lag_s=0, skew_s=0.5, patience_s=1)


@dataclass
class Proven:
    """`done`: two batches of three jobs that ran one after the other. `idled` timed out,
    `canceled` was while its first job of three ran, `running` holds the device."""

    core: Core
    device: Witnessed
    done: tuple[UUID, UUID]
    idled: UUID
    canceled: UUID
    running: UUID

    @classmethod
    def lived(cls, core: Core, folder: Path) -> Self:
        device = Witnessed.online(core, "dev-1", folder)
        over = new_batch(core, 3), new_batch(core, 3)
        device.serve_all()
        idled = new_batch(core, 0, open=True, idle_timeout_s=0.1)
        until(lambda: _swept_to(core, idled))
        canceled = new_batch(core, 3)
        window = device.puppet.take()
        device.puppet.begin(window, window.jobs[0])
        device.begin(window, window.jobs[0])
        call(core, cancel_batch, PROJECT, canceled, interrupt=False)
        device.puppet.drop_messages()
        device.puppet.answer(window, device.ended(window.jobs[0], done(window.jobs[0])))
        running = new_batch(core, 3)
        window = device.puppet.take()
        device.puppet.begin(window, window.jobs[0])
        device.begin(window, window.jobs[0])
        device.shipper.ship()
        return cls(core, device, over, idled, canceled, running)

    def verify(self, **options: Any) -> Report:
        given = self.core.settings
        options.setdefault("patience", NO_PATIENCE)
        return verify(given.database_url, given.store_url, s3=given.s3, **options)

    def change(self, statement: str, **given: object) -> None:
        with self.core.transaction() as tx:
            # Past the triggers, which refuse most of what is to be found.
            tx.connection.execute(text("SET LOCAL session_replication_role = replica"))
            tx.connection.execute(text(statement), given)

    def jobs(self, batch: UUID) -> list[str]:
        with self.core.transaction() as tx:
            rows = tx.connection.execute(
                text("SELECT id::text FROM job WHERE batch_id = :id ORDER BY ordinal"),
                {"id": batch},
            )
            return [row.id for row in rows]

    def swept(self) -> None:
        """As if a sweep were alive, without one that mends what is falsified."""
        self.change(
            "INSERT INTO watch VALUES (1, now())"
            " ON CONFLICT (id) DO UPDATE SET beats_read_at = now()"
        )

    @property
    def journal(self) -> str:
        return self.device.journal.id

    def entries(self) -> list[Entry]:
        witnesses = Witnesses(self.core.settings.store_url, self.core.settings.s3)
        lines = witnesses.lines("dev-1", self.journal)
        return [entry for _, entry in read_lines(lines, self.journal)]

    def forge(self, change: Callable[[list[Entry]], Sequence[Entry]]) -> None:
        """The device's log as if it had always said so: numbered and chained anew."""
        self.write(self.journal, change(self.entries()))

    def write(self, journal: str, entries: Sequence[Entry], device: str = "dev-1") -> None:
        head, lines = first_head(journal), []
        for seq, entry in enumerate(entries, 1):
            head, line = line_of(entry._replace(seq=seq), head)
            lines.append(line + b"\n")
        path = self.log(journal, device)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(lines))

    def log(self, journal: str = "", device: str = "dev-1") -> Path:
        folder = Path(self.core.settings.store_url.removeprefix("file://"))
        return folder / segment_key(device, journal or self.journal, 1)


def _swept_to(core: Core, batch: UUID) -> bool:
    sweep(core)
    return status_of(core, batch) == "TIMED_OUT"


def named(found: Sequence[Violation]) -> set[tuple[int, str]]:
    """Which checks are red."""
    return {(each.invariant, each.what) for each in found}


def rows(found: Sequence[Violation], what: str) -> list[dict[str, Any]]:
    return [each.row for each in found if each.what == what]
