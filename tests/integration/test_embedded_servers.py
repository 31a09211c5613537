"""The embedded servers, as a user of the context manager sees them."""

import os
import stat
import tempfile
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import redis

from orchestrator import embedded
from orchestrator.embedded import Servers, binaries, identity
from orchestrator.embedded.binaries import PostgresBinaries
from orchestrator.embedded.process import Identity, output_of

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


@pytest.fixture(scope="module")
def running() -> Generator[Servers]:
    with embedded.servers(Path("unused"), ephemeral=True, env={}) as servers:
        yield servers


def query(servers: Servers, statement: str) -> str:
    with psycopg.connect(dsn(servers), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return str(cursor.fetchone()) if cursor.description else ""


def dsn(servers: Servers) -> str:
    return servers.database.replace("+psycopg", "")


def counter(servers: Servers) -> int:
    with redis.Redis.from_url(servers.broker) as client:
        return int(str(client.incr("counter")))


def test_both_servers_answer(running: Servers) -> None:
    assert query(running, "select current_database()") == "('holdfast',)"
    assert counter(running) >= 1


def test_postgres_syncs_to_disk_and_leaves_nothing_in_shared_memory(running: Servers) -> None:
    assert query(running, "show fsync") == "('on',)"
    assert query(running, "show dynamic_shared_memory_type") == "('mmap',)"


@pytest.mark.parametrize("how", ["restart", "kill and start"])
def test_postgres_keeps_its_port_and_its_data(running: Servers, how: str) -> None:
    assert running.postgres
    query(running, "create table if not exists kept (i int)")
    query(running, "insert into kept values (1)")
    before = query(running, "select count(*) from kept")
    if how == "restart":
        running.postgres.restart()
    else:
        running.postgres.kill()
        running.postgres.start()
    assert query(running, "select count(*) from kept") == before


def test_valkey_keeps_its_port_and_its_data(running: Servers) -> None:
    assert running.valkey
    before = counter(running)
    running.valkey.restart()
    assert counter(running) == before + 1


def test_valkey_comes_back_after_a_kill(running: Servers) -> None:
    assert running.valkey
    running.valkey.kill()
    with pytest.raises(redis.ConnectionError):
        counter(running)
    running.valkey.start()
    assert counter(running) >= 1


def test_a_stale_pid_file_that_names_a_living_process_does_not_block_the_start(
    running: Servers,
) -> None:
    assert running.postgres
    running.postgres.kill()
    pidfile = running.postgres.cluster / "postmaster.pid"
    lines = pidfile.read_text().splitlines()
    pidfile.write_text("\n".join(["1", *lines[1:], ""]))
    running.postgres.start()
    assert query(running, "select 1") == "(1,)"


def test_nobody_gets_in_without_the_password(running: Servers) -> None:
    _, _, address = dsn(running).rpartition("@")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://holdfast:wrong@{address}")
    _, _, place = running.broker.rpartition("@")
    with (
        redis.Redis.from_url(f"redis://{place}") as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_passwords_are_on_no_command_line_and_in_no_open_file(running: Servers) -> None:
    for server in (running.postgres, running.valkey):
        assert server
        with suppress(FileNotFoundError):  # no /proc on this system
            words = Path(f"/proc/{server.pid}/cmdline").read_bytes().decode()
            assert server._password not in words
    for name in ("secrets.json", "valkey.conf"):
        assert stat.S_IMODE((running.data_dir / name).stat().st_mode) == 0o600


def test_an_ephemeral_folder_is_gone_afterwards() -> None:
    with embedded.servers(Path("unused"), ephemeral=True, env={}) as servers:
        assert servers.data_dir.is_dir()
    assert not servers.data_dir.exists()
    assert not Path("unused").exists()


def test_data_survives_until_the_next_start(tmp_path: Path) -> None:
    for expected in (1, 2):
        with embedded.servers(tmp_path, ephemeral=False, env={}) as servers:
            query(servers, "create table if not exists kept (i int)")
            query(servers, "insert into kept values (1)")
            assert query(servers, "select count(*) from kept") == f"({expected},)"
            assert counter(servers) == expected


def test_two_users_of_one_folder_are_told_apart(tmp_path: Path) -> None:
    env = {"HOLDFAST_DATABASE_URL": "postgresql://d", "HOLDFAST_BROKER_URL": "redis://b"}
    with (
        embedded.servers(tmp_path, ephemeral=False, env=env),
        pytest.raises(embedded.DataDirBusy, match=f"in use .*process {os.getpid()}"),
        embedded.servers(tmp_path, ephemeral=False, env=env),
    ):
        pass


def test_urls_from_the_environment_are_taken_over(tmp_path: Path) -> None:
    env = {"HOLDFAST_DATABASE_URL": "postgresql://d", "HOLDFAST_BROKER_URL": "redis://b"}
    with embedded.servers(tmp_path, ephemeral=False, env=env) as servers:
        assert (servers.database, servers.broker) == ("postgresql://d", "redis://b")
        assert (servers.postgres, servers.valkey) == (None, None)


def test_without_any_server_the_error_names_all_three_ways(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("_wheel_postgres", "_system_postgres"):
        monkeypatch.setattr(binaries, name, list)
    with (
        pytest.raises(embedded.NoServer, match=r"DATABASE_URL.*\[embedded\].*PostgreSQL 14"),
        embedded.servers(tmp_path, ephemeral=False, env={}),
    ):
        pass


@AS_ROOT
def test_root_without_user_namespaces_runs_postgres_as_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    really_starts = identity._starts

    def starts(found: PostgresBinaries, who: Identity) -> bool:
        return who is Identity.NOBODY and really_starts(found, who)

    monkeypatch.setattr(identity, "_starts", starts)
    with embedded.servers(Path("unused"), ephemeral=True, env={}) as servers:
        assert servers.postgres
        assert servers.postgres.cluster.stat().st_uid == 65534
        servers.postgres.kill()
        servers.postgres.start()
        assert query(servers, "select 1") == "(1,)"


@AS_ROOT
def test_binaries_that_nobody_may_not_reach_are_copied() -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        found = binaries.postgres_binaries()
        copied = identity.copied_for_nobody(found, cache=Path(place) / "cache")
        again = identity.copied_for_nobody(found, cache=Path(place) / "cache")
        assert copied == again != found
        status, printed = output_of([copied.initdb, "--version"], identity=Identity.NOBODY)
        assert (status, "initdb (PostgreSQL)" in printed) == (0, True)
