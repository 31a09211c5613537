"""Starts and ends processes that never outlive this one, not even after a kill -9."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from orchestrator.embedded import tether

PROC = Path("/proc")
LEFTOVER_PATIENCE_S = 5.0

# The death signal comes when the *thread* that started a process ends, not its process. So
# one thread, which lasts as long as the interpreter, starts them all.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawn")


class Identity(StrEnum):
    """Who a program runs as. Postgres refuses to be root, by either of the last two it is not."""

    SELF = "self"
    USERNS = "userns"
    NOBODY = "nobody"


def spawn(
    program: Sequence[str | Path],
    *,
    log: Path | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    identity: Identity = Identity.SELF,
    env: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a program in its own session. Without a log its output is a pipe, stderr included."""
    words = _tethered(program, death_signal, identity)

    def start() -> "subprocess.Popen[bytes]":
        output = log.open("ab") if log else None
        try:
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output or subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
            )
        finally:
            if output:
                output.close()

    return _spawner.submit(start).result(timeout=30)


def _tethered(
    program: Sequence[str | Path], death_signal: signal.Signals, identity: Identity
) -> list[str]:
    isolated = [sys.executable, "-I", "-S", tether.__file__]
    return [*isolated, str(os.getpid()), str(int(death_signal)), identity, *map(str, program)]


def output_of(
    program: Sequence[str | Path],
    *,
    identity: Identity = Identity.SELF,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 10,
) -> tuple[int, str]:
    """The exit status and everything printed; a program that takes longer is killed."""
    process = spawn(program, identity=identity, env=env)
    try:
        printed, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        kill_group(process)
        printed, _ = process.communicate(timeout=timeout_s)
        printed += f"\nkilled after {timeout_s:g} s".encode()
    return process.returncode, printed.decode(errors="replace")


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def ended_within(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(timeout=max(seconds, 0))
    except subprocess.TimeoutExpired:
        return False
    return True


def poll_until(condition: Callable[[], bool], seconds: float, *, every_s: float = 0.02) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True


def write_pidfile(path: Path, pid: int, mark: str) -> None:
    """Remember a process by something on its command line, since a pid is soon another's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"pid": pid, "mark": mark}))


def end_leftovers(folder: Path) -> None:
    """End what a killed predecessor left: on Linux it is on its way out, elsewhere it runs on."""
    for pidfile in sorted(folder.glob("*.pid")):
        with suppress(ValueError, KeyError, TypeError):
            left = json.loads(pidfile.read_text())
            _end(int(left["pid"]), str(left["mark"]))
        pidfile.unlink(missing_ok=True)


def _end(pid: int, mark: str) -> None:
    def gone() -> bool:
        return mark not in command_of(pid)

    for number in (signal.SIGTERM, signal.SIGKILL):
        if gone():
            return
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
        poll_until(gone, LEFTOVER_PATIENCE_S)


def command_of(pid: int) -> str:
    """The command line of a process; empty if there is no such process or it is a zombie."""
    if PROC.exists():
        with suppress(OSError):
            return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return ""
    listed = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, timeout=10
    )
    return listed.stdout


def working_in(folder: Path) -> list[int]:
    """Processes whose current folder is this one. Linux only: elsewhere always none."""
    found = []
    for entry in PROC.glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
    return found
