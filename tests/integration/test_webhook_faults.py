"""Endpoints that are slow, away, gone or a trap; and processes that die while they deliver."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from orchestrator.config import Settings
from orchestrator.domain.webhook import Network
from orchestrator.services import webhooks
from orchestrator.services.core import Core
from orchestrator.services.deliver import EACH, Courier
from tests.integration.puppet import PROJECT, Puppet, call, new_batch
from tests.integration.webhook_stack import (
    Receiver,
    Sql,
    deliveries,
    dripping,
    hurry,
    receiving,
    told,
)
from tests.waiting import until

LOCAL: Network = ip_network("127.0.0.0/8")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, webhook_allow=(LOCAL,))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def courier(core: Core) -> Courier:
    return Courier(core)


def ended(core: Core, puppet: Puppet, url: str, jobs: int = 1) -> None:
    new_batch(core, jobs, webhook=url)
    puppet.serve_all()


def errors(sql: Sql) -> list[object]:
    rows = sql.execute("SELECT error FROM webhook_attempt ORDER BY event_id, number")
    return [row[0] for row in rows]


def value(sql: Sql, question: str) -> object:
    row = sql.execute(question).fetchone()
    assert row is not None
    return row[0]


def test_an_endpoint_that_was_down_gets_everything_when_it_is_up(
    core: Core, puppet: Puppet, courier: Courier, receiver: Receiver, sql: Sql
) -> None:
    ended(core, puppet, receiver.url)
    receiver.status = 503
    told(courier)
    hurry(sql)
    told(courier)
    assert deliveries(sql) == [("PENDING", 2), ("PENDING", 2)]
    assert value(sql, "SELECT failing_since IS NOT NULL FROM webhook_endpoint") is True
    receiver.status = 204
    hurry(sql)
    told(courier)
    assert deliveries(sql) == [("DELIVERED", 3), ("DELIVERED", 3)]
    assert len({got.id for got in receiver.got}) == 2
    assert value(sql, "SELECT failing_since IS NULL FROM webhook_endpoint") is True


def test_nobody_at_the_address_is_a_failed_attempt_and_is_tried_again(
    core: Core, puppet: Puppet, courier: Courier, sql: Sql
) -> None:
    ended(core, puppet, "http://127.0.0.1:9/")
    told(courier)
    assert [str(error)[:14] for error in errors(sql)] == ["no connection:"] * 2
    assert value(sql, "SELECT min(due_at) > now() FROM webhook_delivery") is True


def test_an_endpoint_that_is_gone_is_disabled_at_once_until_it_is_enabled(
    core: Core, puppet: Puppet, courier: Courier, receiver: Receiver, sql: Sql
) -> None:
    receiver.status = 410
    ended(core, puppet, receiver.url)
    told(courier)
    ended(core, puppet, receiver.url)
    before = len(receiver.got)
    hurry(sql)
    told(courier)
    assert len(receiver.got) == before
    assert value(sql, "SELECT disabled_reason FROM webhook_endpoint") == "it answered 410 Gone"
    receiver.status = 200
    call(core, webhooks.enable, PROJECT, receiver.url)
    told(courier)
    assert {status for status, _ in deliveries(sql)} == {"DELIVERED"}


def test_an_endpoint_that_has_failed_for_a_day_is_disabled(
    core: Core, puppet: Puppet, courier: Courier, receiver: Receiver, sql: Sql
) -> None:
    receiver.status = 500
    ended(core, puppet, receiver.url)
    told(courier)
    assert value(sql, "SELECT disabled_at FROM webhook_endpoint") is None
    sql.execute("UPDATE webhook_endpoint SET failing_since = now() - interval '25 hours'")
    hurry(sql)
    told(courier)
    reason = value(sql, "SELECT disabled_reason FROM webhook_endpoint")
    assert str(reason).startswith("every attempt has failed since")


def test_a_message_is_given_up_after_its_last_attempt(
    core: Core, puppet: Puppet, courier: Courier, receiver: Receiver, sql: Sql
) -> None:
    receiver.status = 500
    ended(core, puppet, receiver.url)
    told(courier)
    sql.execute("UPDATE webhook_delivery SET tries = 9")
    hurry(sql)
    told(courier)
    assert deliveries(sql) == [("GIVEN_UP", 10)] * 2
    before = len(receiver.got)
    told(courier)
    assert len(receiver.got) == before


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_holds_back_the_whole_endpoint(
    core: Core, puppet: Puppet, courier: Courier, receiver: Receiver, sql: Sql, as_date: bool
) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=600)
    wanted = moment.strftime("%a, %d %b %Y %H:%M:%S GMT") if as_date else "600"
    receiver.answers = [(429, {"Retry-After": wanted})] * 2
    ended(core, puppet, receiver.url)
    told(courier)
    for held in ("hold_until FROM webhook_endpoint", "due_at FROM webhook_delivery LIMIT 1"):
        left = value(sql, f"SELECT {held}")
        assert isinstance(left, datetime)
        assert timedelta(seconds=500) < left - datetime.now(UTC) < timedelta(seconds=620)
    before = len(receiver.got)
    ended(core, puppet, receiver.url)
    told(courier)
    assert len(receiver.got) == before


def test_a_slow_endpoint_holds_up_no_other_and_gets_a_few_at_once(
    core: Core, puppet: Puppet, courier: Courier, receiver: Receiver
) -> None:
    with receiving() as slow:
        slow.slow_s = 0.3
        ended(core, puppet, slow.url, jobs=12)
        ended(core, puppet, receiver.url, jobs=2)
        courier.look()
        until(lambda: len(receiver.got) == 3)
        assert len(slow.got) <= 2 * EACH
        until(lambda: courier.idle and len(slow.got) == 13, 20)
        assert slow.most_at_once <= EACH


def test_an_endpoint_that_never_answers_is_left_in_time(
    core: Core, puppet: Puppet, receiver: Receiver, sql: Sql
) -> None:
    receiver.slow_s = 3
    ended(core, puppet, receiver.url)
    told(Courier(core, whole_s=0.3))
    assert errors(sql) == ["no whole answer within 0.3 s"] * 2


def test_an_endpoint_that_sends_a_byte_now_and_then_is_left_in_time_too(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    with dripping() as url:
        ended(core, puppet, url)
        told(Courier(core, whole_s=0.3))
    assert errors(sql) == ["no whole answer within 0.3 s"] * 2


def test_a_redirect_is_not_followed(
    core: Core, puppet: Puppet, courier: Courier, receiver: Receiver, sql: Sql
) -> None:
    with receiving() as trap:
        receiver.status = 302
        receiver.answers = [(302, {"Location": trap.url})] * 2
        ended(core, puppet, receiver.url)
        told(courier)
        assert (len(receiver.got), trap.got) == (2, [])
    assert errors(sql) == ["it answered 302: a redirect, which is not followed"] * 2


def test_a_name_that_leads_to_a_private_address_is_refused_when_it_is_sent(
    core: Core, puppet: Puppet, receiver: Receiver, sql: Sql
) -> None:
    ended(core, puppet, receiver.url.replace("127.0.0.1", "localhost"))
    strict = Core.start(replace(core.settings, webhook_allow=()))
    told(Courier(strict))
    strict.close()
    assert receiver.got == []
    assert all(str(error).startswith("localhost is not at") for error in errors(sql))
    assert deliveries(sql) == [("PENDING", 1)] * 2


def test_a_process_killed_between_the_post_and_its_record_sends_it_again_under_the_same_id(
    core: Core, puppet: Puppet, courier: Courier, receiver: Receiver, sql: Sql
) -> None:
    ended(core, puppet, receiver.url)
    env = {
        **os.environ,
        "HOLDFAST_DATABASE_URL": core.settings.database_url,
        "HOLDFAST_BROKER_URL": core.settings.broker_url,
        "HOLDFAST_WEBHOOK_ALLOW": "127.0.0.0/8",
    }
    child = subprocess.Popen([sys.executable, "-m", "tests.integration.webhook_child"], env=env)
    receiver.before_answer = lambda: os.kill(child.pid, signal.SIGKILL)
    assert child.wait(timeout=30) == -signal.SIGKILL
    receiver.before_answer = lambda: None
    told(courier)
    posted = {got.id for got in receiver.got}
    assert deliveries(sql) == [("PENDING", 1)] * 2, "the lease holds"
    hurry(sql)
    told(courier)
    assert deliveries(sql) == [("DELIVERED", 2)] * 2
    again = [got.id for got in receiver.got][-2:]
    assert posted <= set(again)
    assert len(set(again)) == 2


def test_two_control_processes_share_the_work_and_double_nothing(
    core: Core, puppet: Puppet, receiver: Receiver, sql: Sql
) -> None:
    ended(core, puppet, receiver.url, jobs=40)
    other = Core.start(core.settings)
    couriers = [Courier(core), Courier(other)]
    deadline = time.monotonic() + 20
    while len(receiver.got) < 41 and time.monotonic() < deadline:
        for courier in couriers:
            courier.look()
    until(lambda: all(courier.idle for courier in couriers), 20)
    other.close()
    assert len({got.id for got in receiver.got}) == len(receiver.got) == 41
    assert deliveries(sql) == [("DELIVERED", 1)] * 41
