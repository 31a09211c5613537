"""A Valkey (or Redis) of our own, on a loopback port, with its data on disk."""

import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from orchestrator.embedded.datadir import LOGS, PIDS, write_private
from orchestrator.embedded.errors import NotStarted
from orchestrator.embedded.ports import free_port
from orchestrator.embedded.process import ended_within, poll_until, spawn, write_pidfile

START_S = 30.0
STOP_S = 10.0
SINCE = "holdfast:since:"
"""As `schemas.task.since_key`, which the supervisor is too light to import."""


class Valkey:
    """One server. It keeps its port across restarts, so a URL stays good."""

    def __init__(self, folder: Path, binary: Path, password: str) -> None:
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / LOGS / "valkey.log"
        self._folder = folder
        self._binary = binary
        self._password = password

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.poll() is None else None

    def start(self) -> None:
        """Return once it answers, with what its log held loaded again."""
        if self.pid:
            return
        self.port = self.port or free_port()
        data = self._folder / "valkey"
        data.mkdir(exist_ok=True)
        self.process = spawn(
            [self._binary, self._configure(data)], log=self.log, death_signal=signal.SIGTERM
        )
        # It rewrites its command line, but the address stays on it.
        pidfile = self._folder / PIDS / "valkey.pid"
        write_pidfile(pidfile, self.process.pid, f"127.0.0.1:{self.port}")
        self._await_ready(self.process)

    def vouch(self) -> None:
        """Nobody from before its start is alive: a worker need not wait for any lease to end."""
        run_id = self._ask("INFO server").split("run_id:")[1].split()[0]
        self._ask(f"SET {SINCE}{run_id} 0")

    def stop(self) -> None:
        """Return once it is gone; it writes its log first."""
        if self.process is None:
            return
        self.process.terminate()
        if not ended_within(self.process, STOP_S):
            self.kill()

    def kill(self) -> None:
        if self.process is None:
            return
        self.process.kill()
        self.process.wait(timeout=STOP_S)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _configure(self, data: Path) -> Path:
        """In a file, because everybody can read a command line."""
        path = self._folder / "valkey.conf"
        settings = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self._password}",
            f'dir "{data}"',
            'save ""',
            "appendonly yes",
            "appendfsync everysec",
            "maxmemory-policy noeviction",
        ]
        write_private(path, "\n".join([*settings, ""]))
        return path

    def _await_ready(self, process: "subprocess.Popen[bytes]") -> None:
        poll_until(lambda: process.poll() is not None or self._answers(), START_S)
        if process.poll() is None and self._answers():
            return
        self.kill()
        tail = self.log.read_text(errors="replace")[-1500:]
        raise NotStarted(f"Valkey did not start; {self.log} ends with:\n{tail}")

    def _answers(self) -> bool:
        with suppress(OSError):
            return self._ask("PING") == "+OK\r\n+PONG\r\n+OK\r\n"
        return False

    def _ask(self, command: str) -> str:
        """What it says to that, behind the OK to the password and before the OK to the end."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
            probe.sendall(f"AUTH {self._password}\r\n{command}\r\nQUIT\r\n".encode())
            return probe.makefile("rb").read().decode()
