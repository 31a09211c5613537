"""Real Postgres and Valkey servers that need no installation, no root and no container.

    with embedded.servers(Path(".holdfast"), ephemeral=False, env=os.environ) as running:
        running.database, running.broker

A server whose URL is in the environment is taken over instead of started.
"""

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.embedded.binaries import postgres_binaries, valkey_binary
from orchestrator.embedded.datadir import data_dir as held_data_dir
from orchestrator.embedded.datadir import secrets_of
from orchestrator.embedded.errors import DataDirBusy, EmbeddedError, NoServer, NotStarted
from orchestrator.embedded.identity import runnable
from orchestrator.embedded.ports import free_port
from orchestrator.embedded.postgres import Postgres, Stop
from orchestrator.embedded.valkey import Valkey

__all__ = [
    "DataDirBusy",
    "EmbeddedError",
    "NoServer",
    "NotStarted",
    "Postgres",
    "Servers",
    "Stop",
    "Valkey",
    "free_port",
    "servers",
]

PORT_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Where they are. `postgres` or `valkey` is None if its URL came from the environment."""

    database: str
    broker: str
    data_dir: Path
    postgres: Postgres | None
    valkey: Valkey | None

    def kill(self) -> None:
        """Both at once, without a word."""
        for server in (self.valkey, self.postgres):
            if server:
                server.kill()


@contextmanager
def servers(data_dir: Path, *, ephemeral: bool, env: Mapping[str, str]) -> Generator[Servers]:
    """Bring both up, and down again. If ephemeral, `data_dir` is replaced by a temporary folder."""
    database, broker = env.get("HOLDFAST_DATABASE_URL"), env.get("HOLDFAST_BROKER_URL")
    with held_data_dir(data_dir, ephemeral=ephemeral) as folder, ExitStack() as stack:
        postgres = None if database else _postgres(folder, durable=not ephemeral)
        valkey = None if broker else Valkey(folder, valkey_binary(), secrets_of(folder).valkey)
        for server in (postgres, valkey):
            if server:
                stack.callback(server.stop)
                _start(server)
        if valkey:
            valkey.vouch()
        yield Servers(
            database=database or (postgres.url if postgres else ""),
            broker=broker or (valkey.url if valkey else ""),
            data_dir=folder,
            postgres=postgres,
            valkey=valkey,
        )


def _postgres(folder: Path, *, durable: bool) -> Postgres:
    binaries, identity = runnable(postgres_binaries())
    return Postgres(folder, binaries, identity, secrets_of(folder).postgres, durable=durable)


def _start(server: Postgres | Valkey) -> None:
    """Again on another port, if somebody else took the free one before the server bound it."""
    for tries_left in reversed(range(PORT_TRIES)):
        try:
            return server.start()
        except NotStarted:
            if not tries_left:
                raise
            server.port = 0
