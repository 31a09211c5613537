"""The feed tells of a batch in the order in which things happened to it."""

from uuid import UUID

from orchestrator.services.advance import take_step
from orchestrator.services.core import Core
from orchestrator.services.submit import submit
from orchestrator.store.transaction import Transaction
from schemas.batch import BatchIn
from tests.integration.puppet import PROJECT, TYPE, Puppet, job_bodies


def submitted_by_one_that_dies_then(core: Core) -> UUID:
    """Nothing that should follow the commit does."""
    with core.engine.begin() as connection:
        body = BatchIn(device_type=TYPE, jobs=job_bodies(1))
        return submit(core, Transaction(connection), PROJECT, None, body)


def test_a_batch_is_created_before_an_older_transaction_admits_it(
    core: Core, puppet: Puppet
) -> None:
    with core.transaction() as older:
        device = core.devices.lock_by_name(older, puppet.device)
        assert device is not None
        batch = submitted_by_one_that_dies_then(core)
        take_step(core, older, device)
    with core.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT kind FROM event WHERE batch_id = %s ORDER BY xid, id", (batch,)
        )
        assert [row.kind for row in rows] == ["created", "admitted"]
