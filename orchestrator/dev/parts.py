"""The processes of the stack: what each is called, how it starts, and what it gets to know."""

import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from orchestrator.dev.options import Device, DevOptions
from orchestrator.embedded import Servers

SECRET_URLS = ("HOLDFAST_DATABASE_URL", "HOLDFAST_BROKER_URL")


class Stage(IntEnum):
    """Stopped from the first to the last, so that a worker's last outcome is still settled."""

    WORKER = 0
    FRONT = 1
    CONTROL = 2


@dataclass(frozen=True, kw_only=True)
class Part:
    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    stage: Stage
    death_signal: signal.Signals = signal.SIGKILL


@dataclass(frozen=True)
class Access:
    """What a user needs to log in."""

    project_id: str
    username: str
    password: str
    api_key: str


class Commands:
    """The command line of each part. Tests put stubs in their place."""

    def prepare(self, credentials: Path, devices: tuple[Device, ...]) -> tuple[str, ...]:
        """Migrate, seed, and write an `Access` as JSON to the file, or keep the one in it."""
        words = (sys.executable, "-m", "orchestrator.dev.prepare", str(credentials))
        return (*words, *map(str, devices))

    def api(self, port: int) -> tuple[str, ...]:
        return (*_holdfast(), "api", "--port", str(port))

    def control(self) -> tuple[str, ...]:
        return (*_holdfast(), "control")

    def beat(self) -> tuple[str, ...]:
        return (*_holdfast(), "beat")

    def worker(self, device: Device) -> tuple[str, ...]:
        words = ("--device", device.name, "--type", device.type, "--executor", device.executor)
        options = [f"--option={each}" for each in device.options.split(",") if each]
        return (*_holdfast(), "worker", *words, *options)

    def flower(self, port: int) -> tuple[str, ...]:
        return (*_holdfast(), "flower", "--port", str(port))


def _holdfast() -> tuple[str, ...]:
    """The command beside this Python; the environment need not be activated."""
    beside = Path(sys.executable).with_name("holdfast")
    found = str(beside) if beside.exists() else shutil.which("holdfast")
    return (found,) if found else (sys.executable, "-m", "orchestrator.cli")


def environment(options: DevOptions, servers: Servers) -> dict[str, str]:
    """What every part gets to know. The URLs with passwords are added where they are needed."""
    env = {name: text for name, text in options.env.items() if name not in SECRET_URLS}
    env.setdefault("HOLDFAST_STORE_URL", (servers.data_dir / "objects").as_uri())
    if options.idle_timeout_s is not None:
        env["HOLDFAST_IDLE_TIMEOUT_S"] = f"{options.idle_timeout_s:g}"
    return env | {"HOLDFAST_BROKER_URL": servers.broker, "PYTHONUNBUFFERED": "1"}


def core_parts(
    options: DevOptions,
    servers: Servers,
    commands: Commands,
    port: int,
    flower_url: str | None = None,
) -> list[Part]:
    """Everything but Flower; `flower_url` is where that will be."""
    shared = environment(options, servers)
    full = shared | {"HOLDFAST_DATABASE_URL": servers.database}
    linked = {"HOLDFAST_FLOWER_URL": flower_url} if flower_url else {}
    parts = [
        Part(name="api", argv=commands.api(port), env=linked | full, stage=Stage.FRONT),
        Part(name="control", argv=commands.control(), env=full, stage=Stage.CONTROL),
        Part(name="beat", argv=commands.beat(), env=full, stage=Stage.FRONT),
    ]
    for device in options.devices:
        journal = servers.data_dir / "journal" / device.name
        journal.mkdir(parents=True, exist_ok=True)
        parts.append(
            Part(
                name=f"worker-{device.name}",
                argv=commands.worker(device),
                env=shared | {"HOLDFAST_JOURNAL_DIR": str(journal)},
                stage=Stage.WORKER,
                # Not KILL: it must end its executor's whole process group first.
                death_signal=signal.SIGTERM,
            )
        )
    return parts


def flower_part(
    options: DevOptions, servers: Servers, commands: Commands, port: int, access: Access
) -> Part:
    """Flower shows payloads, so it asks for the same user and password as the API."""
    env = environment(options, servers) | {
        "HOLDFAST_DATABASE_URL": servers.database,
        "FLOWER_BASIC_AUTH": f"{access.username}:{access.password}",
        "FLOWER_MAX_TASKS": "2000",
    }
    return Part(name="flower", argv=commands.flower(port), env=env, stage=Stage.FRONT)
