"""Receivers of webhooks: real servers, that answer as they are told."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg

from orchestrator.services.core import Core
from orchestrator.services.deliver import Courier
from orchestrator.services.webhooks import signing_secrets
from tests.integration.puppet import PROJECT
from tests.waiting import until

Sql = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Got:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> Any:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        found: str = self.message["type"]
        return found


@dataclass
class Receiver:
    """`answers` are used up one by one, then `status` counts; `slow_s` is before each answer."""

    url: str = ""
    status: int = 204
    slow_s: float = 0
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def types(self) -> list[str]:
        return sorted(each.type for each in self.got)

    def take(self, got: Got) -> tuple[int, dict[str, str]]:
        with self.lock:
            self.got.append(got)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.before_answer()
        time.sleep(self.slow_s)
        with self.lock:
            self.at_once -= 1
            return self.answers.pop(0) if self.answers else (self.status, {})


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more = receiver.take(Got(self.path, headers, body))
            self.send_response(status)
            for name, value in {"Content-Length": "0", **more}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Not on the tests' own output."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A sender that did not wait for the answer."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def dripping() -> Iterator[str]:
    """A server whose answer never ends: one byte of a header every 50 ms."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not over.wait(0.05):
                connection.sendall(b"x")

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)


def told(courier: Courier) -> None:
    """Everything that is due is attempted, and the courier rests."""
    courier.look()
    until(lambda: courier.idle, 20)


def hurry(sql: Sql) -> None:
    """As if the pause until the next attempt had passed."""
    sql.execute("UPDATE webhook_delivery SET due_at = now() WHERE due_at IS NOT NULL")
    sql.execute("UPDATE webhook_endpoint SET hold_until = NULL")


def secret_of(core: Core) -> str:
    with core.transaction() as tx:
        return signing_secrets(core, tx, PROJECT)[0]


def deliveries(sql: Sql) -> list[tuple[object, ...]]:
    """Status and tries of each, by event."""
    return sql.execute("SELECT status, tries FROM webhook_delivery ORDER BY event_id").fetchall()
