"""`compute_target="local"`: a controller on this machine, found, or started once for all programs.

It is a process of its own, which outlives this program and leaves after an idle hour. Its folder
holds its key, its log and its journal, and is its user's alone.
"""

import getpass
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from holdfast.deadline import Deadline
from holdfast.errors import Forbidden, NotConfigured, NotInstalled
from holdfast.transport import Transport, path

ONLINE_WITHIN_S: Final = 60.0
IDLE_S: Final = 3600
_STEP_S: Final = 0.25
_TAIL: Final = 2000
_STATE_DIR: Final = "~/.local/state/holdfast/controllers"
"""Where `holdfast controller status` looks, too."""

_started: list["subprocess.Popen[bytes]"] = []
"""Kept, so that none is complained about as forgotten."""


def name_here() -> str:
    """`local-<hostname>-<user>`, in the letters that a target's name may have."""
    raw = f"local-{socket.gethostname().split('.')[0]}-{_user()}".lower()
    return re.sub(r"[^a-z0-9]+", "-", raw).strip("-")[:63].rstrip("-")


def ensure(transport: Transport, *, timeout: float = ONLINE_WITHIN_S) -> str:
    """The name of this machine's controller, which is online now.

    Raises NotInstalled, NotConfigured with the last words of one that does not start, WaitTimeout,
    or what the server answers to a key that may not do this.
    """
    name, deadline = name_here(), Deadline(timeout)
    if _is_online(transport, name):
        return name
    folder = _folder(transport)
    with _only_one(folder, deadline):
        if not _is_online(transport, name):
            _start(transport, name, folder, deadline)
    return name


def _start(transport: Transport, name: str, folder: Path, deadline: Deadline) -> None:
    """With a new key where the one that was kept is not valid any more."""
    for key, is_new in ((_kept_key(folder), False), (None, True)):
        if key is None and not is_new:
            continue
        controller = _launch(transport, name, folder, key or _new_key(transport, name, folder))
        if _comes_up(transport, name, controller, deadline):
            return
        if key is None or controller.returncode != 1:
            break
    log = _log(folder).read_text(errors="replace")[-_TAIL:].strip()
    raise NotConfigured(f"the controller on this machine does not start ({_log(folder)}):\n{log}")


def _comes_up(
    transport: Transport,
    name: str,
    controller: "subprocess.Popen[bytes]",
    deadline: Deadline,
) -> bool:
    """False: it has ended instead."""
    while controller.poll() is None:
        if _is_online(transport, name):
            return True
        deadline.check(f"the start of {name}")
        time.sleep(_STEP_S)
    return False


def _is_online(transport: Transport, name: str) -> bool:
    targets = transport.get("/api/v1/compute-targets")
    return any(target["name"] == name and target["online"] for target in targets)


def _launch(transport: Transport, name: str, folder: Path, key: str) -> "subprocess.Popen[bytes]":
    """In a session of its own: Ctrl-C in this program is not meant for it."""
    words = ("--url", transport.url, "--executor", "xtb", "--idle-exit", str(IDLE_S))
    env = {**_plain(os.environ), "HOLDFAST_STATE_DIR": str(folder), "HOLDFAST_RUNNER_KEY": key}
    with _log(folder).open("wb") as log:
        controller = subprocess.Popen(
            [_command(), "controller", "run", name, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=env,
            start_new_session=True,
        )
    _started.append(controller)
    return controller


def _command() -> str:
    """Of this environment, or of one that the path leads to."""
    beside = Path(sys.executable).with_name("holdfast")
    found = str(beside) if beside.is_file() else shutil.which("holdfast")
    if found is None:
        raise NotInstalled(
            'computing on this machine needs: pip install "holdfast-server[worker,xtb]"'
            " (in an environment of its own, if you like; `holdfast` must be on the path)"
        )
    return found


def _plain(env: Mapping[str, str]) -> dict[str, str]:
    """Without this program's own key and settings, which are none of the controller's."""
    return {name: value for name, value in env.items() if not name.startswith("HOLDFAST_")}


def _new_key(transport: Transport, name: str, folder: Path) -> str:
    """Made once, and kept; HOLDFAST_RUNNER_KEY goes before it."""
    if given := os.environ.get("HOLDFAST_RUNNER_KEY"):
        return given
    try:
        made: dict[str, Any] = transport.post(path("keys"), {"name": name, "kind": "runner"})
    except Forbidden as error:
        raise NotConfigured(
            "this key may not make a runner key for the machine, which needs the scope `submit`:"
            " have one made by"
            " `holdfast keys create NAME --kind runner`, and set HOLDFAST_RUNNER_KEY"
        ) from error
    key = str(made["key"])
    file = os.open(folder / "runner.key", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w") as out:
        out.write(key)
    return key


def _kept_key(folder: Path) -> str | None:
    try:
        return (folder / "runner.key").read_text().strip() or None
    except FileNotFoundError:
        return None


def _folder(transport: Transport) -> Path:
    """One for each server and key: two projects on one machine do not share a journal."""
    root = Path(os.environ.get("HOLDFAST_STATE_DIR") or _STATE_DIR).expanduser()
    of = f"{transport.url} {transport.http.headers['Authorization']}"
    folder = root.absolute() / "local" / hashlib.sha256(of.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _log(folder: Path) -> Path:
    return folder / "controller.log"


@contextmanager
def _only_one(folder: Path, deadline: Deadline) -> Iterator[None]:
    """Of all the programs on this machine that find no controller, one starts it."""
    try:
        import fcntl
    except ImportError:
        raise NotConfigured("computing on this machine needs Linux or macOS") from None
    with (folder / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                deadline.check("another program's start of the controller")
                time.sleep(_STEP_S)
        yield


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
