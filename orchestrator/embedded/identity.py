"""Who Postgres runs as. It refuses to run as root, and we add no user to the machine."""

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from orchestrator.embedded.binaries import PostgresBinaries
from orchestrator.embedded.errors import NotStarted
from orchestrator.embedded.process import Identity, output_of
from orchestrator.embedded.tether import NOBODY

CACHE = Path("/var/cache/holdfast")


def runnable(binaries: PostgresBinaries) -> tuple[PostgresBinaries, Identity]:
    """The binaries, or a copy of them, with an identity that is let in and that Postgres takes."""
    if os.geteuid() != 0:
        return binaries, Identity.SELF
    for identity in (Identity.USERNS, Identity.NOBODY):
        if _starts(binaries, identity):
            return binaries, identity
    copied = copied_for_nobody(binaries)
    if _starts(copied, Identity.NOBODY):
        return copied, Identity.NOBODY
    raise NotStarted(
        "Postgres does not run as root, and here root may neither make a user namespace nor start"
        f" {binaries.server} as nobody: use another account, or set HOLDFAST_DATABASE_URL"
    )


def copied_for_nobody(binaries: PostgresBinaries, cache: Path = CACHE) -> PostgresBinaries:
    """The wheel may lie below a folder that only root can enter; put what it needs elsewhere."""
    installed = binaries.folder.parent
    package = installed.parent
    stamp = binaries.server.stat()
    copy = cache / f"{package.name}-{stamp.st_size}-{stamp.st_mtime_ns}"
    folder = copy / package.name / installed.name / "bin"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=cache))
        shutil.copytree(installed, unfinished / package.name / installed.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        _open_to_all(unfinished)
        _publish(unfinished, copy)
    return replace(binaries, folder=folder)


def _publish(unfinished: Path, copy: Path) -> None:
    try:
        unfinished.rename(copy)
    except OSError:  # another process was faster
        shutil.rmtree(unfinished)


def _open_to_all(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


def hand_over(folder: Path, identity: Identity) -> None:
    """Give the cluster to whom it will run as; the last run may have been another's."""
    if os.geteuid() != 0 or not folder.exists():
        return
    owner = NOBODY if identity is Identity.NOBODY else 0
    if identity is Identity.NOBODY:
        _let_through(folder.parent)
    if folder.stat().st_uid != owner:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, owner, owner, follow_symlinks=False)


def _let_through(folder: Path) -> None:
    folder.chmod(folder.stat().st_mode | 0o011)
    for parent in folder.resolve().parents:
        if not parent.stat().st_mode & 0o001:
            raise NotStarted(
                f"Postgres cannot run as root, and nobody may not enter {parent}:"
                " choose a data directory elsewhere, or set HOLDFAST_DATABASE_URL"
            )


def _starts(binaries: PostgresBinaries, identity: Identity) -> bool:
    return output_of([binaries.server, "--version"], identity=identity)[0] == 0
