"""Keeps processes running, and ends all of them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.dev.parts import Part, Stage
from orchestrator.embedded.datadir import LOGS, PIDS
from orchestrator.embedded.process import ended_within, kill_group, spawn, write_pidfile

FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 5.0
STEADY_S = 10.0
STOP_S = 5.0


@dataclass
class Member:
    """A part, and the process that plays it now."""

    part: Part
    log: Path
    pidfile: Path
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0
    backoff_s: float = FIRST_BACKOFF_S
    due_at: float = 0

    def start(self) -> None:
        self.process = spawn(
            self.part.argv, log=self.log, death_signal=self.part.death_signal, env=self.part.env
        )
        self.started_at = time.monotonic()
        write_pidfile(self.pidfile, self.process.pid, " ".join(self.part.argv))


@dataclass
class Crew:
    """Start order is the order of `add`; the order of the end is `Stage`."""

    data_dir: Path
    say: Callable[[str], None]
    members: dict[str, Member] = field(default_factory=dict)

    def add(self, part: Part) -> None:
        log = self.data_dir / LOGS / f"{part.name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        log.touch(mode=0o600)
        member = Member(part, log, self.data_dir / PIDS / f"{part.name}.pid")
        self.members[part.name] = member
        member.start()

    def tend(self) -> None:
        """Start again what died, each time later, up to five seconds."""
        for member in self.members.values():
            process = member.process
            if process is not None and process.poll() is not None:
                self._schedule(member, process.returncode)
            elif process is None and time.monotonic() >= member.due_at:
                member.start()

    def stop(self) -> None:
        """Return once all are gone: asked to stop, stage by stage, then killed."""
        for stage in Stage:
            self._stop([m for m in self.members.values() if m.part.stage is stage])

    def kill(self) -> None:
        """At once. Safe in a signal handler."""
        for process in _running(list(self.members.values())):
            kill_group(process)

    def _schedule(self, member: Member, status: int) -> None:
        now = time.monotonic()
        if now - member.started_at >= STEADY_S:
            member.backoff_s = FIRST_BACKOFF_S
        member.process, member.due_at = None, now + member.backoff_s
        self.say(
            f"{member.part.name} ended ({_reason(status)});"
            f" starting it again in {member.backoff_s:g} s, its log is {member.log}"
        )
        member.backoff_s = min(member.backoff_s * 2, LONGEST_BACKOFF_S)

    def _stop(self, members: list[Member]) -> None:
        processes = _running(members)
        for process in processes:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        for process in processes:
            if not ended_within(process, deadline - time.monotonic()):
                kill_group(process)
                ended_within(process, STOP_S)
        for member in members:
            member.pidfile.unlink(missing_ok=True)


def _running(members: list[Member]) -> "list[subprocess.Popen[bytes]]":
    started = [member.process for member in members if member.process]
    return [process for process in started if process.poll() is None]


def _reason(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    with suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"


def tail_of(path: Path, lines: int = 8) -> str:
    with suppress(OSError), path.open("rb") as log:
        log.seek(max(0, os.fstat(log.fileno()).st_size - 4096))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
    return ""
