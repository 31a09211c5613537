"""The stack that the nemesis torments: real processes, with a proxy before each server."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import psycopg

from orchestrator import bootstrap, embedded
from orchestrator.bootstrap import Credentials
from orchestrator.embedded import free_port
from orchestrator.store.catalog import DeviceType
from tests.chaos import proxy
from tests.e2e.stack import LEASE_S, Part
from tests.waiting import until

DEVICES: Final = {
    **{f"pool-{n}": "POOL" for n in range(1, 5)},
    "pair-1": "PAIR",
    "pair-2": "PAIR",
    "solo": "SOLO",
    "twin": "TWIN",
}
PRICED: Final = [
    DeviceType(kind, "scripted", rate=100_000, cores=2) for kind in sorted(set(DEVICES.values()))
]
"""So that every job holds credits, which `verify` then counts."""
CREDITS: Final = 1_000_000_000
STANDBY: Final = "twin"
"""The device that has a second worker, with a journal of its own, from the start."""

PROJECTS: Final = ("ada", "bose", "curie")
ORCHESTRATOR: Final = ("api-1", "api-2", "control-1", "control-2", "beat-1", "beat-2")


class Proxy:
    """The process that stands between the parts and the servers."""

    def __init__(self, upstreams: Mapping[str, int], log: Path) -> None:
        self.ports = {name: free_port() for name in upstreams}
        words = [f"{self.ports[name]}:{port}" for name, port in upstreams.items()]
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", proxy.__file__, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def tell(self, link: str, mode: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{self.ports[link]} {mode}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        # It ends by itself, too, when its input does.
        self._process.kill()
        self._process.communicate(timeout=10)


@dataclass
class Plant:
    folder: Path
    servers: embedded.Servers
    proxy: Proxy
    projects: dict[str, Credentials]
    env: dict[str, str]
    api_ports: tuple[int, int]
    parts: dict[str, Part] = field(default_factory=dict)
    workers: dict[str, str] = field(default_factory=dict)
    """Each worker's device."""
    journals: dict[str, str] = field(default_factory=dict)
    """Every journal that there ever was, with its device."""

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.api_ports]

    @property
    def store_url(self) -> str:
        return self.env["HOLDFAST_STORE_URL"]

    @property
    def log(self) -> Path:
        """What the devices themselves saw."""
        return self.folder / "device.log"

    def part(self, name: str, *words: str, **env: str) -> Part:
        part = Part(name, words, {**self.env, **env}, self.folder / f"{name}.log")
        self.parts[name] = part
        part.start()
        return part

    def worker(self, name: str, device: str, journal: str) -> Part:
        self.workers[name] = device
        self.journals[journal] = device
        words = ("worker", "--device", device, "--type", DEVICES[device], "--executor", "scripted")
        return self.part(
            name,
            *words,
            HOLDFAST_JOURNAL_DIR=str(self.folder / "journals" / journal),
            HOLDFAST_BROKER_URL=self.env["CHAOS_WORKERS_BROKER_URL"],
        )

    def start(self) -> None:
        for n, port in enumerate(self.api_ports, 1):
            self.part(f"api-{n}", "api", "--port", str(port))
            self.part(f"control-{n}", "control")
            self.part(f"beat-{n}", "beat")
        for device in DEVICES:
            self.worker(f"worker-{device}", device, device)
        self.worker(f"standby-{STANDBY}", STANDBY, f"{STANDBY}-standby")
        until(lambda: all(map(answers, self.urls)), 60)
        until(lambda: self.sql("SELECT count(*) FROM device WHERE online") == [(8,)], 60)

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Straight from the database, past the proxy and past our own code."""
        url = self.servers.database.replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True, connect_timeout=3) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def is_up(self, name: str) -> bool:
        process = self.parts[name].process
        return process is not None and process.poll() is None

    def workers_of(self, device: str) -> list[str]:
        return [name for name, theirs in self.workers.items() if theirs == device]

    def executor(self, name: str) -> psutil.Process | None:
        """The child of a worker that holds its device."""
        with suppress(psutil.Error):
            for child in psutil.Process(self.parts[name].pid).children(recursive=True):
                if "workers.executors.host" in child.cmdline():
                    return child
        return None

    def ship_every_witness(self, timeout_s: float) -> None:
        """A node that was lost for good comes back once more, for what its journal knows."""
        running = {Path(p.env.get("HOLDFAST_JOURNAL_DIR", "")).name for p in self.parts.values()}
        for journal, device in self.journals.items():
            if journal not in running:
                self.worker(f"once more {journal}", device, journal)
        until(lambda: all(map(self._is_shipped, self.journals)), timeout_s)

    def _is_shipped(self, journal: str) -> bool:
        """Whether the newest entry of its witness log lies in the object store."""
        folder = self.folder / "journals" / journal
        try:
            with closing(sqlite3.connect(f"file:{folder}/journal.db?mode=ro", uri=True)) as db:
                ((known,),) = db.execute("SELECT value FROM meta WHERE key = 'id'")
                ((last,),) = db.execute("SELECT max(seq) FROM witness")
        except (sqlite3.OperationalError, ValueError):
            # Its worker was killed before it had written anything, and is only starting again.
            return False
        shipped = self.folder / "objects" / "witness" / self.journals[journal] / known
        newest = max(shipped.glob("*.log"), default=None)
        return newest is not None and f'"seq":{last},'.encode() in newest.read_bytes()

    def close(self) -> None:
        for part in self.parts.values():
            if part.process is not None and part.process.poll() is None:
                part.process.kill()
        for part in self.parts.values():
            if part.process is not None:
                part.process.wait(10)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def running_plant(folder: Path) -> Generator[Plant]:
    """Everything up; at the end, and whatever ends us, everything down."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_")}
    folder.mkdir(parents=True, exist_ok=True)
    with embedded.servers(folder / "data", ephemeral=False, env=inherited) as servers:
        projects = {
            name: bootstrap.prepare(
                servers.database,
                [],
                project=name,
                username=name,
                types=PRICED if name == PROJECTS[0] else (),
                credits=CREDITS,
            )
            for name in PROJECTS
        }
        between = _proxy(servers, folder)
        plant = Plant(
            folder,
            servers,
            between,
            projects,
            _env(inherited, servers, between, folder),
            (free_port(), free_port()),
        )
        try:
            plant.start()
            yield plant
        finally:
            plant.close()
            between.close()


def _proxy(servers: embedded.Servers, folder: Path) -> Proxy:
    assert servers.postgres is not None and servers.valkey is not None
    upstreams = {
        "postgres": servers.postgres.port,
        "redis": servers.valkey.port,
        "redis of the workers": servers.valkey.port,
    }
    return Proxy(upstreams, folder / "proxy.log")


def _env(
    inherited: Mapping[str, str], servers: embedded.Servers, between: Proxy, folder: Path
) -> dict[str, str]:
    assert servers.postgres is not None and servers.valkey is not None
    database = (str(servers.postgres.port), servers.database)
    broker = (str(servers.valkey.port), servers.broker)

    def through(server: tuple[str, str], link: str) -> str:
        port, url = server
        return url.replace(f":{port}/", f":{between.ports[link]}/")

    return {
        **inherited,
        "HOLDFAST_DATABASE_URL": through(database, "postgres"),
        "HOLDFAST_BROKER_URL": through(broker, "redis"),
        "CHAOS_WORKERS_BROKER_URL": through(broker, "redis of the workers"),
        "HOLDFAST_STORE_URL": (folder / "objects").as_uri(),
        "HOLDFAST_LEASE_S": f"{LEASE_S:g}",
        "HOLDFAST_STOP_S": "3",
        "HOLDFAST_STORE_RETRY_S": "5",
    }
