"""Programs that tests need and pip does not have: put on this machine by whoever asks first.

What a package manager must do for the whole machine (Chromium, npm) it does as root or through
sudo; promtool and the font are unpacked into `.tools`, so that no service is ever started. Each
is tried once in a run. It fails with what the command printed, and never skips a test.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from orchestrator.embedded.process import output_of

ROOT: Final = Path(__file__).parents[1]
TOOLS: Final = ROOT / ".tools"
NPM: Final = ROOT / "tests" / "portal"
"""Where `package.json` and its lock are; what they name is put into `.tools`."""
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
COMMAND_S: Final = 600.0
TAIL: Final = 4000


class NotInstalled(Exception):
    """Says what was tried, and what came of it."""


def chromium() -> Path:
    """A Chromium that can be driven; Debian's where there is none."""
    return _tried(_chromium)


def promtool() -> Path:
    """Of Prometheus; nothing else of it is installed."""
    return _tried(_promtool)


def inter() -> Path:
    """The folder of the font that pictures are set in, whatever else a machine has."""
    return _tried(_inter)


def npm_package(name: str) -> Path:
    """The folder of a package of tests/portal/package-lock.json, in that version."""
    folder = _tried(_node_modules) / name
    if not folder.is_dir():
        raise NotInstalled(f"{name} is not in {NPM / 'package-lock.json'}")
    return folder


def _tried(install: Callable[[], Path]) -> Path:
    found = _outcome(install)
    if isinstance(found, NotInstalled):
        raise found
    return found


@cache
def _outcome(install: Callable[[], Path]) -> Path | NotInstalled:
    """A failure is kept, too: the next test would wait as long for the same one."""
    try:
        with _alone():
            return install()
    except NotInstalled as error:
        return error


@contextmanager
def _alone() -> Generator[None]:
    """One installation at a time by this user of this machine, whichever checkout it is for."""
    path = Path(tempfile.gettempdir()) / f"holdfast-installing-{os.getuid()}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _chromium() -> Path:
    return _which(*BROWSERS) or _from_debian("chromium", "fonts-dejavu-core")


def _promtool() -> Path:
    return _which("promtool") or _unpacked("prometheus", "usr/bin/promtool")


def _inter() -> Path:
    return _unpacked("fonts-inter", "usr/share/fonts")


def _node_modules() -> Path:
    folder = TOOLS / "npm"
    installed = folder / "node_modules"
    if _locked(installed / ".package-lock.json") != _locked(NPM / "package-lock.json"):
        npm = _which("npm") or _from_debian("npm")
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(NPM / name, folder)
        words = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-progress")
        _run(npm, "ci", "--prefix", folder, *words)
    return installed


def _locked(lock: Path) -> dict[str, str] | None:
    """Folder to hash. npm writes the lock of what it has installed when all of it is there."""
    if not lock.exists():
        return None
    packages = json.loads(lock.read_text())["packages"]
    return {name: each["integrity"] for name, each in packages.items() if name}


def _from_debian(*packages: str) -> Path:
    """The program of the first one's name, installed with all that it needs."""
    words = ("install", "-y", "--no-install-recommends", *packages)
    _with_lists(lambda: _run(*_as_root(), *_APT, *words))
    program = _which(packages[0])
    if program is None:
        raise NotInstalled(f"the Debian package {packages[0]} has no program of that name")
    return program


def _unpacked(package: str, inside: str) -> Path:
    """A file or folder of a Debian package, without installing it."""
    wanted = TOOLS / package / inside
    if wanted.exists():
        return wanted
    with tempfile.TemporaryDirectory(prefix="holdfast-package-") as name:
        folder = Path(name)
        _with_lists(lambda: _run(*_APT, "download", package, folder=folder))
        (archive,) = folder.glob("*.deb")
        _run(_needed("dpkg-deb"), "-x", archive, folder / "all")
        TOOLS.mkdir(exist_ok=True)
        shutil.rmtree(TOOLS / package, ignore_errors=True)
        shutil.move(folder / "all", TOOLS / package)
    return wanted


_APT: Final = (
    *("env", "DEBIAN_FRONTEND=noninteractive"),
    *("apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"),
)


def _with_lists(get: Callable[[], None]) -> None:
    """A fresh machine knows no package, and an old list names versions that are gone."""
    _needed("apt-get")
    try:
        get()
    except NotInstalled:
        _run(*_as_root(), *_APT, "update")
        get()


def _as_root() -> tuple[str | Path, ...]:
    if os.getuid() == 0:
        return ()
    return (_needed("sudo"), "-n")


def _needed(program: str) -> Path:
    found = _which(program)
    if found is None:
        raise NotInstalled(
            f"{program} is missing: install {BROWSERS[0]}, promtool and npm yourself where the"
            " system is not Debian's, or run the tests as a user who may"
        )
    return found


def _which(*programs: str) -> Path | None:
    found = next(filter(None, map(shutil.which, programs)), None)
    return Path(found) if found else None


def _run(program: str | Path, *words: str | Path, folder: Path = ROOT) -> None:
    if not Path(program).is_absolute():
        program = _needed(str(program))
    words = (_needed("env"), "-C", folder, program, *words)
    status, printed = output_of(words, timeout_s=COMMAND_S)
    if status:
        told = " ".join(map(str, words))
        raise NotInstalled(f"{told}: status {status}\n{printed[-TAIL:]}")
