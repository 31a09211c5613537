"""Every ending of a batch with a webhook, and of its jobs, is told once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from orchestrator.config import Settings
from orchestrator.domain.webhook import Network
from orchestrator.errors import Rejected
from orchestrator.services import webhooks
from orchestrator.services.cancel import cancel_batch
from orchestrator.services.core import Core
from orchestrator.services.deliver import Courier
from orchestrator.services.rebatch import rebatch
from orchestrator.services.revive import revive
from orchestrator.store.webhook_news import tell
from orchestrator.store.webhooks import claim
from schemas.batch import RebatchIn
from tests.integration.puppet import PROJECT, Puppet, call, done, failed, new_batch
from tests.integration.webhook_stack import Receiver, Sql, deliveries, receiving, secret_of, told

LOCAL: Network = ip_network("127.0.0.0/8")
NOBODY = "http://127.0.0.1:9/"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, webhook_allow=(LOCAL,), public_url="https://holdfast.example.org")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def courier(core: Core) -> Courier:
    return Courier(core)


def test_each_job_and_the_batch_are_told_once(
    core: Core, puppet: Puppet, receiver: Receiver, courier: Courier, sql: Sql
) -> None:
    new_batch(core, 3, webhook=receiver.url)
    puppet.serve_all()
    for _ in range(3):
        told(courier)
    assert receiver.types == ["batch.done", "job.done", "job.done", "job.done"]
    assert len({each.id for each in receiver.got}) == 4
    assert deliveries(sql) == [("DELIVERED", 1)] * 4


def test_a_batch_without_a_webhook_costs_no_row(
    core: Core, puppet: Puppet, courier: Courier, sql: Sql
) -> None:
    new_batch(core, 2)
    puppet.serve_all()
    told(courier)
    rows = sql.execute(
        "SELECT (SELECT count(*) FROM webhook_cursor), count(*) FROM webhook_delivery"
    )
    assert rows.fetchone() == (0, 0)


def test_the_signature_is_one_that_the_standard_library_accepts(
    core: Core, puppet: Puppet, receiver: Receiver, courier: Courier
) -> None:
    new_batch(core, 1, webhook=receiver.url)
    puppet.serve_all()
    told(courier)
    for got in receiver.got:
        assert Webhook(secret_of(core)).verify(got.body, got.headers) == got.message
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_of(core)).verify(got.body + " ", got.headers)


def test_for_a_day_after_a_rotation_both_secrets_check_a_message(
    core: Core, puppet: Puppet, receiver: Receiver, courier: Courier, sql: Sql
) -> None:
    before = secret_of(core)
    call(core, webhooks.rotate, PROJECT)
    after = secret_of(core)
    new_batch(core, 1, webhook=receiver.url)
    puppet.serve_all()
    told(courier)
    got = receiver.got[0]
    assert before != after
    for secret in (before, after):
        Webhook(secret).verify(got.body, got.headers)
    sql.execute("UPDATE webhook_secret SET expires_at = now() WHERE expires_at IS NOT NULL")
    assert call(core, webhooks.signing_secrets, PROJECT) == [after]


def test_a_message_says_what_ended_and_how(
    core: Core, puppet: Puppet, receiver: Receiver, courier: Courier
) -> None:
    batch = new_batch(core, 2, webhook=receiver.url, name="sweep", tags=["thesis"])
    for answer in (done, failed):
        window = puppet.take()
        puppet.answer(window, *[answer(task) for task in window.jobs if puppet.has_permit(task)])
    told(courier)
    by_type = {got.type: got.message["data"] for got in receiver.got}
    assert by_type["job.done"]["result"] == {"of": 1}
    assert (by_type["job.error"]["ordinal"], by_type["job.error"]["reason"]) == (2, "it broke")
    assert by_type["job.error"]["device"] == "dev-1"
    ended = by_type["batch.done"]
    assert (ended["batch_id"], ended["name"], ended["tags"]) == (str(batch), "sweep", ["thesis"])
    assert ended["jobs"] == {"total": 2, "left": 0, "done": 1, "failed": 1, "canceled": 0}


def test_a_large_result_is_told_as_a_link_that_opens(
    core: Core, puppet: Puppet, receiver: Receiver, courier: Courier
) -> None:
    new_batch(core, 1, webhook=receiver.url)
    window = puppet.take()
    assert puppet.has_permit(window.jobs[0])
    large = done(window.jobs[0], "x" * 30_000)
    result = large.result.model_copy(update={"size": 30_002})
    puppet.answer(window, large.model_copy(update={"result": result}))
    told(courier)
    data = next(got.message["data"] for got in receiver.got if got.type == "job.done")
    assert "result" not in data
    assert data["result_url"].startswith("https://holdfast.example.org/")
    assert "signature=" in data["result_url"]


def test_a_canceled_batch_tells_of_its_jobs_too(
    core: Core, puppet: Puppet, receiver: Receiver, courier: Courier
) -> None:
    batch = new_batch(core, 2, webhook=receiver.url)
    call(core, cancel_batch, PROJECT, batch, interrupt=True)
    told(courier)
    assert receiver.types == ["batch.canceled", "job.canceled", "job.canceled"]


def test_a_revived_batch_that_ends_again_is_told_again(
    core: Core, puppet: Puppet, receiver: Receiver, courier: Courier
) -> None:
    batch = new_batch(core, 1, webhook=receiver.url)
    puppet.drop_messages()
    call(core, cancel_batch, PROJECT, batch, interrupt=True)
    told(courier)
    call(core, revive, PROJECT, batch)
    puppet.serve_all()
    told(courier)
    assert receiver.types == ["batch.canceled", "batch.done", "job.canceled", "job.done"]
    assert len({got.id for got in receiver.got}) == 4


def test_a_rebatch_tells_where_its_parent_told(
    core: Core, puppet: Puppet, receiver: Receiver, courier: Courier
) -> None:
    parent = new_batch(core, 1, webhook=receiver.url)
    puppet.serve_all()
    child: UUID = call(core, rebatch, PROJECT, None, parent, RebatchIn())
    puppet.serve_all()
    told(courier)
    ended = [got.message["data"] for got in receiver.got if got.type == "batch.done"]
    assert {each["batch_id"] for each in ended} == {str(parent), str(child)}


def test_an_event_that_an_older_transaction_could_still_overtake_waits(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    with psycopg.connect(core.settings.database_url.replace("+psycopg", "")) as older:
        older.execute("SELECT pg_current_xact_id()")
        new_batch(core, 1, webhook=NOBODY)
        puppet.serve_all()
        assert call(core, lambda _core, tx: tell(tx)) == 0
        older.rollback()
    assert call(core, lambda _core, tx: tell(tx)) == 2
    assert call(core, lambda _core, tx: tell(tx)) == 0


def test_deliveries_and_cursor_are_written_together_or_not_at_all(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    new_batch(core, 1, webhook=NOBODY)
    puppet.serve_all()

    def broken(core: Core, tx: object) -> None:
        tell(tx)  # type: ignore[arg-type]
        raise KeyError("the process dies here")

    with pytest.raises(KeyError):
        call(core, broken)
    assert deliveries(sql) == []
    assert call(core, lambda _core, tx: tell(tx)) == 2


def test_a_batch_that_is_over_is_not_looked_at_again(core: Core, puppet: Puppet, sql: Sql) -> None:
    new_batch(core, 1, webhook=NOBODY)
    puppet.serve_all()
    call(core, lambda _core, tx: tell(tx))
    assert sql.execute("SELECT done FROM webhook_cursor").fetchall() == [(True,)]


def test_an_address_that_is_refused_is_refused_at_submission(core: Core, puppet: Puppet) -> None:
    for url in ("http://169.254.169.254/latest", "ftp://example.org/", "http://a:b@example.org/"):
        with pytest.raises(Rejected) as refused:
            new_batch(core, 1, webhook=url)
        assert [flaw.field for flaw in refused.value.flaws] == ["webhook"]


def test_more_endings_than_one_look_takes_are_all_told(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    batch = new_batch(core, 1000, webhook=NOBODY)
    puppet.drop_messages()
    call(core, cancel_batch, PROJECT, batch, interrupt=True)
    with core.transaction() as tx:
        events = tx.connection.execute(text("SELECT count(*) FROM event")).scalar_one()
    assert events > 1000
    counts = [call(core, lambda _core, tx: tell(tx)) for _ in range(3)]
    assert (sum(counts), counts[2]) == (1001, 0)


def test_endpoints_with_the_fewest_messages_under_way_come_first(
    core: Core, puppet: Puppet
) -> None:
    for path in "abc":
        new_batch(core, 5, webhook=f"{NOBODY}{path}")
        puppet.serve_all()
        call(core, lambda _core, tx: tell(tx))

    def claimed(room: int, busy: dict[int, int]) -> list[int]:
        with core.transaction() as tx:
            found = claim(tx, room=room, each=4, busy=busy, lease=timedelta(minutes=1))
        return sorted(parcel.endpoint for parcel in found)

    a, b, c = claimed(3, {})
    assert len({a, b, c}) == 3
    assert claimed(2, {a: 2, b: 4}) == [c, c]
    assert claimed(9, {a: 3, b: 4}) == [a, c, c, c]
