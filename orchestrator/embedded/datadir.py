"""The folder that the servers keep their data in: one user at a time, and its passwords."""

import fcntl
import json
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO

from orchestrator.embedded.errors import DataDirBusy
from orchestrator.embedded.process import end_leftovers, poll_until, working_in

LOCK = "lock"
PIDS = "run"
LOGS = "logs"
SECRETS = "secrets.json"
TEMPORARY = "holdfast-tmp-"
CLUSTER_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Secrets:
    postgres: str
    valkey: str


@contextmanager
def data_dir(path: Path, *, ephemeral: bool) -> Generator[Path]:
    """Hold the folder alone, with nothing of a predecessor running in it any more."""
    if ephemeral:
        remove_abandoned()
        with _temporary() as folder:
            yield folder
        return
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = path.resolve()
    with _locked(folder):
        end_predecessors(folder)
        yield folder


@contextmanager
def _temporary() -> Generator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=TEMPORARY)).resolve()
    # Taken under another name: whoever removes abandoned folders passes over one without a lock.
    with _locked(folder, "unborn"):
        (folder / "unborn").rename(folder / LOCK)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path, name: str = LOCK) -> Generator[None]:
    with (folder / name).open("a+") as lock:
        if not _take(lock):
            lock.seek(0)
            raise DataDirBusy(
                f"{folder} is in use by another holdfast (process {lock.read().strip() or '?'}):"
                " stop it, or choose another data directory"
            )
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        _prepare(folder)
        yield


def _take(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _prepare(folder: Path) -> None:
    for name in (PIDS, LOGS):
        (folder / name).mkdir(exist_ok=True)


def end_predecessors(folder: Path) -> None:
    """Wait out, then kill, what still runs here from an owner that was killed."""
    end_leftovers(folder / PIDS)
    for cluster in folder.glob("pg*"):
        poll_until(partial(_is_vacant, cluster), CLUSTER_PATIENCE_S)
        for pid in working_in(cluster):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        poll_until(partial(_is_vacant, cluster), CLUSTER_PATIENCE_S)


def _is_vacant(cluster: Path) -> bool:
    return not working_in(cluster)


def remove_abandoned() -> None:
    """Delete the temporary folders of owners that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).resolve().glob(f"{TEMPORARY}*"):
        with suppress(OSError):
            if folder.stat().st_uid == os.geteuid():
                _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    with (folder / LOCK).open("r+") as lock:
        if _take(lock):
            end_predecessors(folder)
            shutil.rmtree(folder)


def secrets_of(folder: Path) -> Secrets:
    """Made once per data directory: every user of this machine can reach the loopback ports."""
    path = folder / SECRETS
    if path.exists():
        return Secrets(**json.loads(path.read_text()))
    made = Secrets(postgres=secrets.token_urlsafe(24), valkey=secrets.token_urlsafe(24))
    write_private(path, json.dumps(asdict(made)))
    return made


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    unfinished.replace(path)
