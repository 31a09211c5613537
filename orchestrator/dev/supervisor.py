"""`holdfast dev`: the whole stack on one machine, started in order and ended without a trace."""

import json
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from os import getpid
from types import FrameType

from orchestrator import embedded
from orchestrator.dev.crew import Crew, tail_of
from orchestrator.dev.options import DEFAULT_PORT, DevError, DevOptions
from orchestrator.dev.parts import Access, Commands, core_parts, environment, flower_part
from orchestrator.dev.terminal import Follower, say, table
from orchestrator.embedded import Servers, free_port
from orchestrator.embedded.datadir import LOGS, write_private
from orchestrator.embedded.ports import is_free
from orchestrator.embedded.process import output_of

PREPARE_S = 120.0
TAKEN = "HOLDFAST_DATABASE_URL"
TICK_S = 0.25
READY_TICK_S = 0.1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Raised in the main thread by the first signal. Not an Exception: nothing should catch it."""


@dataclass
class Interrupts:
    """The first signal unwinds everything in order; another one kills everything at once."""

    kill: list[Callable[[], None]] = field(default_factory=list)
    stopping: bool = False

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        if not self.stopping:
            self.stopping = True
            raise Stopped
        for kill in self.kill:
            kill()

    @contextmanager
    def handled(self) -> Generator[None]:
        before = {number: signal.signal(number, self.handle) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_dev(options: DevOptions, commands: Commands | None = None) -> int:
    """Run until a signal. The status is 0 if it was asked to stop, 1 if it could not start."""
    interrupts = Interrupts()
    with interrupts.handled():
        try:
            _run(options, commands or Commands(), interrupts)
        except Stopped:
            return 0
        except (DevError, embedded.EmbeddedError) as error:
            say(f"error: {error}")
            return 1
        finally:
            interrupts.stopping = True
    return 0


def _run(options: DevOptions, commands: Commands, interrupts: Interrupts) -> None:
    port = choose_port(options.port)
    with embedded.servers(
        options.data_dir, ephemeral=options.ephemeral, env=options.env
    ) as servers:
        crew = Crew(servers.data_dir, say)
        interrupts.kill += [crew.kill, lambda: _kill_servers(servers)]
        try:
            access = _prepare(options, servers, commands)
            Stack(options, servers, commands, crew, port, access).run()
        finally:
            interrupts.stopping = True
            if options.ready_file:
                options.ready_file.unlink(missing_ok=True)
            crew.stop()


def _kill_servers(servers: Servers) -> None:
    for server in (servers.postgres, servers.valkey):
        if server and server.process:
            server.process.kill()


def choose_port(wanted: int | None) -> int:
    """An explicit port is that port or an error; otherwise a free one will be found."""
    if wanted is None:
        return DEFAULT_PORT if is_free(DEFAULT_PORT) else free_port()
    if wanted == 0:
        return free_port()
    if not is_free(wanted):
        raise DevError(f"port {wanted} is in use: stop what uses it, or choose another --port")
    return wanted


def _prepare(options: DevOptions, servers: Servers, commands: Commands) -> Access:
    """In a process of its own, whose libraries are then not held in memory for the whole run."""
    credentials = servers.data_dir / "credentials.json"
    env = environment(options, servers) | {"HOLDFAST_DATABASE_URL": servers.database}
    argv = commands.prepare(credentials, options.devices)
    status, printed = output_of(argv, env=env, timeout_s=PREPARE_S)
    if status:
        whose = f"the database of {TAKEN}" if options.env.get(TAKEN) else "the database"
        raise DevError(f"{whose} could not be prepared (status {status}):\n{printed[-3000:]}")
    return Access(**json.loads(credentials.read_text()))


@dataclass
class Stack:
    """The running stack, from the first part to the last tick."""

    options: DevOptions
    servers: Servers
    commands: Commands
    crew: Crew
    port: int
    access: Access
    flower_port: int | None = None
    follower: Follower = field(default_factory=Follower)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def flower_url(self) -> str | None:
        return f"http://127.0.0.1:{self.flower_port}" if self.flower_port else None

    def run(self) -> None:
        given = (self.options, self.servers, self.commands)
        self.flower_port = free_port() if self.options.flower else None
        for part in core_parts(*given, self.port, self.flower_url):
            self.crew.add(part)
        self._await_ready()
        if self.flower_port:
            # Only now: nothing waits for it, and its imports would slow the others down.
            self.crew.add(flower_part(*given, self.flower_port, self.access))
        self._announce()
        while True:
            self._tick(TICK_S)

    def _tick(self, seconds: float) -> None:
        self.crew.tend()
        self._tend_servers()
        if self.options.verbose:
            self.follower.follow({name: m.log for name, m in self.crew.members.items()})
        time.sleep(seconds)

    def _tend_servers(self) -> None:
        """The data is on disk: a server that died is started again, at the same address."""
        for name, server in (
            ("Postgres", self.servers.postgres),
            ("Valkey", self.servers.valkey),
        ):
            if server is None or server.pid is not None:
                continue
            print(f"{name} ended; starting it again", file=sys.stderr, flush=True)
            try:
                server.start()
            except embedded.EmbeddedError as error:
                print(f"{name} did not start: {error}", file=sys.stderr, flush=True)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + self.options.ready_within_s
        answer = ""
        while not self._is_ready(answer := ask_ready(self.port)):
            if time.monotonic() >= deadline:
                raise DevError(self._why_not_ready(answer))
            self._tick(READY_TICK_S)

    def _is_ready(self, answer: str) -> bool:
        """The API answers, and the worker of every device has said hello."""
        online = re.search(r"(\d+) online", answer)
        wanted = len(self.options.devices)
        return answer.startswith("200") and online is not None and int(online[1]) >= wanted

    def _why_not_ready(self, answer: str) -> str:
        lines = [f"not ready after {self.options.ready_within_s:g} s"]
        lines.append(f"{self.base_url}/health/ready: {answer or 'no answer'}")
        for name, member in self.crew.members.items():
            lines += [f"--- {name}", tail_of(member.log)]
        return "\n".join(lines)

    def _announce(self) -> None:
        if self.options.ready_file:
            self.options.ready_file.parent.mkdir(parents=True, exist_ok=True)
            write_private(self.options.ready_file, json.dumps(self._facts(), indent=2) + "\n")
        rows = {"Portal": f"{self.base_url}/", "API": self.base_url}
        rows["Reference"] = f"{self.base_url}/docs"
        if self.flower_url:
            rows["Flower"] = f"{self.flower_url} (same user and password)"
        rows["Devices"] = ", ".join(f"{d.name} ({d.type})" for d in self.options.devices)
        if self.options.env.get(TAKEN):
            rows["Database"] = f"taken over from {TAKEN}"
        rows |= {"Project": self.access.project_id, "User": self.access.username}
        rows |= {"Password": self.access.password, "API key": self.access.api_key}
        rows["Logs"] = str(self.servers.data_dir / LOGS)
        print(f"\nHoldfast is ready.\n\n{table(rows)}\n\nCtrl-C stops it.", flush=True)

    def _facts(self) -> dict[str, str | int | None]:
        return {
            "base_url": self.base_url,
            **asdict(self.access),
            "flower_url": self.flower_url,
            "database_url": self.servers.database,
            "broker_url": self.servers.broker,
            "pid": getpid(),
        }


def ask_ready(port: int) -> str:
    """The status code and the rest of the answer to GET /health/ready; empty if there is none."""
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=2) as connection,
    ):
        connection.sendall(b"GET /health/ready HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        answer = connection.makefile("rb").read(4096).decode(errors="replace")
        head, _, body = answer.partition("\r\n\r\n")
        return " ".join([*head.split(" ")[1:2], body.strip()])
    return ""
