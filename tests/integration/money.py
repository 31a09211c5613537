"""Jobs that cost something, and what the accounts say of them."""

from uuid import UUID, uuid4

from sqlalchemy import text

from orchestrator.services.core import Core
from orchestrator.store import catalog, ledger
from orchestrator.store.audit import Range, snapshot
from orchestrator.store.audit_money import MONEY
from orchestrator.store.catalog import DeviceType
from schemas.task import Done, JobTask
from tests.integration.puppet import PROJECT, TYPE, done

HOUR = 3600


def priced(core: Core, rate: int = 1, cores: int = 1, device_type: str = TYPE) -> None:
    """From now on a job of this type is held for `rate` times `cores` times 3,600."""
    with core.transaction() as tx:
        catalog.define(tx, DeviceType(device_type, "scripted", rate=rate, cores=cores))


def grant(core: Core, amount: int, project: UUID = PROJECT, key: str = "") -> None:
    with core.transaction() as tx:
        ledger.grant(tx, project, amount, key or str(uuid4()))


def balances(core: Core, project: UUID = PROJECT) -> tuple[int, int, int]:
    """What is available, what is held, what was spent."""
    with core.transaction() as tx:
        rows = tx.connection.execute(
            text("SELECT kind, balance FROM account WHERE project_id = :p"), {"p": project}
        )
        found = {row.kind: row.balance for row in rows}
    return found["available"], found["held"], found["revenue"]


def wrong(core: Core) -> list[str]:
    """Which checks of the ledger fail, warnings too."""
    with snapshot(core.settings.database_url, Range()) as database:
        return [question.what for question in MONEY if database.ask(question).total]


def ran(task: JobTask, seconds: float) -> Done:
    """It took exactly so long, to the millisecond."""
    outcome = done(task)
    began = round(outcome.ended_at - seconds, 3)
    return outcome.model_copy(update={"began_at": began, "ended_at": began + seconds})
