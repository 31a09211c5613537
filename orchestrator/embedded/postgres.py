"""A Postgres of our own, on a loopback port and small in memory."""

import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
from contextlib import suppress
from enum import Enum
from pathlib import Path

from orchestrator.embedded.binaries import PostgresBinaries
from orchestrator.embedded.datadir import LOGS, PIDS, write_private
from orchestrator.embedded.errors import NotStarted
from orchestrator.embedded.identity import hand_over
from orchestrator.embedded.ports import free_port
from orchestrator.embedded.process import (
    Identity,
    ended_within,
    output_of,
    poll_until,
    spawn,
    working_in,
    write_pidfile,
)
from orchestrator.embedded.tether import NOBODY

USER = "holdfast"
DATABASE = "holdfast"
START_S = 60.0
STOP_S = 10.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # their paths may not be longer than about 100 bytes
    "shared_buffers": "32MB",
    "max_connections": "60",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_worker_processes": "2",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "autovacuum_max_workers": "2",
    "huge_pages": "off",
    "dynamic_shared_memory_type": "mmap",  # inside the data directory: /dev/shm would outlive it
    "log_checkpoints": "off",
    "timezone": "UTC",
}


class Stop(Enum):
    SMART = signal.SIGTERM
    FAST = signal.SIGINT
    IMMEDIATE = signal.SIGQUIT


class Postgres:
    """One cluster. It keeps its port across restarts, so a URL stays good."""

    def __init__(
        self,
        folder: Path,
        binaries: PostgresBinaries,
        identity: Identity,
        password: str,
        *,
        durable: bool = True,
    ) -> None:
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / LOGS / "postgres.log"
        self._folder = folder
        self._binaries = binaries
        self._identity = identity
        self._password = password
        self._durable = durable

    @property
    def cluster(self) -> Path:
        """Named by the major version, because another major cannot read it."""
        return self._folder / f"pg{self._binaries.major}"

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://{USER}:{self._password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.poll() is None else None

    def start(self) -> None:
        """Return once connections are accepted."""
        if self.pid:
            return
        if not self.cluster.exists():
            self._create()
        hand_over(self.cluster, self._identity)
        self._clear_stale_pid()
        self.port = self.port or free_port()
        self.process = spawn(
            [self._binaries.server, "-D", self.cluster, "-p", str(self.port), *self._settings()],
            log=self.log,
            death_signal=signal.SIGINT,
            identity=self._identity,
            env=_environment(),
        )
        write_pidfile(self._folder / PIDS / "postgres.pid", self.process.pid, str(self.cluster))
        self._await_ready(self.process)

    def stop(self, mode: Stop = Stop.FAST) -> None:
        """Return once it is gone, by harder means if it takes too long."""
        if self.process is None:
            return
        for number in (mode.value, signal.SIGQUIT):
            self.process.send_signal(number)
            if ended_within(self.process, STOP_S):
                return
        self.kill()

    def kill(self) -> None:
        """As by a power cut: the postmaster and every backend, without a word."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait(timeout=STOP_S)
        poll_until(self._backends_killed, STOP_S)
        self._forget_segment()

    def restart(self) -> None:
        self.stop()
        self.start()

    def _settings(self) -> list[str]:
        # Version 18 would start three processes more only to read from disk.
        extra = {"io_method": "sync"} if self._binaries.major >= 18 else {}
        return [f"--{name}={value}" for name, value in (SETTINGS | extra).items()]

    def _create(self) -> None:
        """Build the cluster aside and rename it, so that a killed initdb leaves no half of one."""
        unfinished = self._folder / f"pg{self._binaries.major}.init"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file = self._folder / "initdb.password"
        write_private(password_file, self._password)
        for path in (unfinished, password_file):
            hand_over(path, self._identity)
        try:
            self._initdb(unfinished, password_file)
            self._create_database(unfinished)
        finally:
            password_file.unlink()
        unfinished.rename(self.cluster)

    def _initdb(self, target: Path, password_file: Path) -> None:
        words: list[str | Path] = [
            self._binaries.initdb,
            "-D",
            target,
            "-U",
            USER,
            f"--pwfile={password_file}",
        ]
        words += [f"--pwfile={password_file}", "--auth=scram-sha-256", "-E", "UTF8", "--no-locale"]
        words += [] if self._durable else ["--no-sync"]
        self._run(words)

    def _create_database(self, target: Path) -> None:
        """In single-user mode: within the creation of the cluster, and without a client."""
        statement = target / "create.sql"
        statement.write_text(f"CREATE DATABASE {DATABASE}\n")
        if self._identity is Identity.NOBODY:
            os.chown(statement, NOBODY, NOBODY)
        words: list[str | Path] = ["/bin/sh", "-c", 'exec "$@" <"$0"', statement]
        self._run([*words, self._binaries.server, "--single", "-D", target, "postgres"])
        statement.unlink()

    def _run(self, words: list[str | Path]) -> None:
        status, printed = output_of(
            words, identity=self._identity, env=_environment(), timeout_s=START_S
        )
        if status:
            raise NotStarted(f"Postgres could not be set up (status {status}):\n{printed[-2000:]}")

    def _await_ready(self, process: "subprocess.Popen[bytes]") -> None:
        poll_until(lambda: process.poll() is not None or accepts(self.port), START_S)
        if process.poll() is None and accepts(self.port):
            return
        self.kill()
        tail = self.log.read_text(errors="replace")[-1500:]
        raise NotStarted(f"Postgres did not start; {self.log} ends with:\n{tail}")

    def _clear_stale_pid(self) -> None:
        """After a kill -9 the pid in it may be another's by now, and Postgres would wait for it."""
        if Path("/proc").exists() and not working_in(self.cluster):
            self._forget_segment()
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _backends_killed(self) -> bool:
        left = working_in(self.cluster)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    def _forget_segment(self) -> None:
        """Remove the shared memory segment whose id a killed postmaster left in its pid file."""
        with suppress(OSError, IndexError, ValueError):
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            ctypes.CDLL(None).shmctl(int(lines[6].split()[1]), 0, None)


def _environment() -> dict[str, str]:
    kept = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}


def accepts(port: int) -> bool:
    """Whether Postgres answers a start-up packet by asking who is there, not by an error."""
    words = b"user\0" + USER.encode() + b"\0database\0" + DATABASE.encode() + b"\0\0"
    packet = struct.pack("!ii", len(words) + 8, 196608) + words
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
        probe.sendall(packet)
        return probe.recv(1) == b"R"
    return False
