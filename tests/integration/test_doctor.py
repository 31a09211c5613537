"""The doctor says what is wrong and what mends it, and above all when everything is down."""

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import make_url

from orchestrator.config import Settings
from orchestrator.doctor import Check, State, examine, show
from orchestrator.embedded import Servers
from orchestrator.services.core import Core
from orchestrator.services.sweep import sweep
from schemas.task import CONTROL_QUEUE
from tests.integration.puppet import Puppet, new_batch

Sql = psycopg.Connection[tuple[object, ...]]
NAMES = (
    *("database", "migrations", "clock", "broker", "store"),
    *("row security", "devices", "sweep", "queues"),
)


def found(settings: Settings) -> dict[str, Check]:
    checks = examine(settings)
    assert tuple(check.name for check in checks) == NAMES
    return {check.name: check for check in checks}


@contextmanager
def silent_server() -> Iterator[int]:
    """It takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_healthy_deployment_passes_every_check(
    settings: Settings, core: Core, puppet: Puppet
) -> None:
    puppet.beat()
    sweep(core)
    assert {name: check.state for name, check in found(settings).items()} == dict.fromkeys(
        NAMES, State.OK
    )


def test_servers_that_are_gone_are_named_with_what_mends_it(settings: Settings) -> None:
    port = closed_port()
    gone = replace(
        settings,
        database_url=f"postgresql+psycopg://u:secret@127.0.0.1:{port}/holdfast",
        broker_url=f"redis://:secret@127.0.0.1:{port}/0",
        store_url="file:///proc/no-such-folder",
    )
    checks = found(gone)
    for name, setting in (("database", "DATABASE"), ("broker", "BROKER"), ("store", "STORE")):
        assert checks[name].state is State.FAIL
        assert f"HOLDFAST_{setting}_URL" in checks[name].says
        assert "secret" not in checks[name].says


def test_servers_that_hang_cost_one_deadline_together(settings: Settings) -> None:
    with silent_server() as port:
        hanging = replace(
            settings,
            database_url=f"postgresql+psycopg://u:p@127.0.0.1:{port}/holdfast",
            broker_url=f"redis://127.0.0.1:{port}/0",
        )
        began = time.monotonic()
        checks = found(hanging)
    assert time.monotonic() - began < 5
    assert checks["database"].state is checks["broker"].state is State.FAIL
    assert checks["store"].state is State.OK


def test_a_broker_that_is_gone_hides_nothing_of_the_database(
    settings: Settings, core: Core, puppet: Puppet
) -> None:
    new_batch(core, device_type=puppet.type)
    new_batch(core, device_type=puppet.type)
    checks = found(replace(settings, broker_url=f"redis://127.0.0.1:{closed_port()}/0"))
    assert checks["database"].state is State.OK
    assert checks["queues"].says.startswith("batches waiting: 1 for TEST; messages: not known")


def test_a_database_without_tables_wants_a_migration(
    settings: Settings, servers: Servers, sql: Sql
) -> None:
    sql.execute("DROP DATABASE IF EXISTS bare")
    sql.execute("CREATE DATABASE bare")
    url = settings.database_url.rpartition("/")[0] + "/bare"
    checks = found(replace(settings, database_url=url))
    assert checks["migrations"].state is State.FAIL
    assert "holdfast migrate" in checks["migrations"].says
    assert checks["devices"].state is State.WARN


@pytest.fixture
def revision(sql: Sql) -> Iterator[Sql]:
    """A connection that may say that the tables are at another revision."""
    before = sql.execute("SELECT version_num FROM alembic_version").fetchone()
    yield sql
    sql.execute("UPDATE alembic_version SET version_num = %s", before)


def test_tables_of_a_newer_version_want_that_version(settings: Settings, revision: Sql) -> None:
    revision.execute("UPDATE alembic_version SET version_num = '9999'")
    check = found(settings)["migrations"]
    assert check.state is State.FAIL
    assert "install the version that made them" in check.says


def test_a_sweep_that_never_ran_fails(settings: Settings, core: Core) -> None:
    check = found(settings)["sweep"]
    assert check.state is State.FAIL
    assert "never ran" in check.says and "holdfast beat" in check.says


def test_a_sweep_that_stopped_fails(
    settings: Settings, core: Core, puppet: Puppet, sql: Sql
) -> None:
    sweep(core)
    sql.execute("UPDATE watch SET beats_read_at = now() - interval '1 minute'")
    check = found(settings)["sweep"]
    assert check.state is State.FAIL
    assert "last ran 60 s ago" in check.says


def test_no_device_is_a_warning_that_says_how_to_start_one(settings: Settings, core: Core) -> None:
    check = found(settings)["devices"]
    assert check.state is State.WARN
    assert "holdfast worker --device" in check.says


def test_an_active_device_that_is_offline_is_named(
    settings: Settings, core: Core, puppet: Puppet, sql: Sql
) -> None:
    sql.execute("UPDATE device SET online = false")
    check = found(settings)["devices"]
    assert check.state is State.WARN
    assert check.says.startswith("0 of 1 online") and "dev-1" in check.says


def test_a_users_own_machine_that_is_away_is_none_of_the_operators_business(
    settings: Settings, core: Core, puppet: Puppet, sql: Sql
) -> None:
    sql.execute("INSERT INTO device (name, type, transport) VALUES ('byoc-0', 'TEST', 'https')")
    puppet.beat()
    sweep(core)
    assert found(settings)["devices"] == Check("devices", State.OK, "1 of 1 online")


def test_a_database_user_who_is_shown_no_row_is_told(
    settings: Settings, core: Core, sql: Sql
) -> None:
    sql.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    sql.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
    url = make_url(settings.database_url).set(username="guest", password="guest")
    try:
        as_guest = replace(settings, database_url=url.render_as_string(hide_password=False))
        check = found(as_guest)["row security"]
    finally:
        sql.execute("DROP OWNED BY guest")
        sql.execute("DROP ROLE guest")
    assert (check.state, "hides every row" in check.says) == (State.FAIL, True)


def test_a_device_that_an_operator_paused_is_no_warning(
    settings: Settings, core: Core, puppet: Puppet, sql: Sql
) -> None:
    sql.execute("UPDATE device SET service = 'paused', online = false")
    check = found(settings)["devices"]
    assert check == Check("devices", State.OK, "0 of 1 online; dev-1 is paused")


def test_a_queue_that_nobody_empties_is_a_warning(
    settings: Settings, core: Core, puppet: Puppet
) -> None:
    core.permits.client.rpush(CONTROL_QUEUE, *["message"] * 101)
    check = found(settings)["queues"]
    assert check.state is State.WARN
    assert "control (101)" in check.says


@pytest.mark.parametrize(
    ("setting", "value", "state", "fix"),
    [
        ("maxmemory-policy", "allkeys-lru", State.FAIL, "set maxmemory-policy to noeviction"),
        ("appendonly", "no", State.WARN, "set appendonly to yes"),
    ],
)
def test_a_broker_that_may_lose_messages_is_told_how_not_to(
    settings: Settings, core: Core, setting: str, value: str, state: State, fix: str
) -> None:
    client = core.permits.client
    before: str = client.config_get(setting)[setting] or ""
    client.config_set(setting, value)
    try:
        check = found(settings)["broker"]
    finally:
        client.config_set(setting, before)
    assert check.state is state
    assert fix in check.says


def test_the_table_shows_every_check_and_a_warning_is_no_failure() -> None:
    out = io.StringIO()
    checks = [Check("clock", State.WARN, "[red]ahead[/red]"), Check("store", State.OK, "fine")]
    assert show(checks, out)
    assert "[red]ahead[/red]" in out.getvalue()
    assert "store" in out.getvalue()


def test_one_failure_fails_the_whole() -> None:
    checks = [Check("store", State.OK, "fine"), Check("broker", State.FAIL, "gone")]
    assert not show(checks, io.StringIO())
