"""A server that speaks the controllers' protocol, and misbehaves when a test asks for it."""

import gzip
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import TypeAdapter

from schemas.controller import AcquireIn, CompleteIn, HeartbeatIn, RegisterIn, StartIn

Answer = tuple[int, dict[str, Any]]
Odd = Callable[[str, Any], Answer | None]


class Standin:
    """One project, one controller name. `odd` may answer instead, or return None; an answer of
    status 0 drops the connection after the call has had its effect."""

    def __init__(self, *, lease_s: float, heartbeat_s: float) -> None:
        self.lease_s, self.heartbeat_s = lease_s, heartbeat_s
        self.mutex = threading.Lock()
        self.session = 0
        self.offered: deque[dict[str, Any]] = deque()
        self.started: Counter[str] = Counter()
        self.ends: dict[str, dict[str, Any]] = {}
        self.told: Counter[str] = Counter()
        self.logs: dict[str, bytes] = {}
        self.verdicts: dict[str, str] = {}
        self.state = "online"
        self.calls: Counter[str] = Counter()
        self.spoken_for: set[str] = set()
        self.odd: Odd = lambda path, body: None

    def offer(self, job: str, payload: dict[str, Any], *, wall_s: float = 600) -> None:
        with self.mutex:
            self.offered.append(
                {
                    "assignment_id": f"{job}.1",
                    "job_id": job,
                    "lane": 0,
                    "job_type": "test",
                    "payload": payload,
                    "epoch": 1,
                    "lease_s": self.lease_s,
                    "wall_s": wall_s,
                }
            )

    def answer(self, path: str, params: dict[str, str], raw: bytes, token: str) -> Answer:
        with self.mutex:
            self.calls[path.rsplit("/", 1)[-1]] += 1
            if path == "/controllers/register":
                return self._register(RegisterIn.model_validate_json(raw))
            if token != f"ct_{self.session}":
                return 401, {"detail": "this token is not valid any more"}
            if path.endswith("/logs"):
                return self._logged(path.split("/")[2], params, gzip.decompress(raw))
            return self._other(path, raw)

    def _register(self, body: RegisterIn) -> Answer:
        self.session += 1
        return 201, {
            "controller_id": "c1",
            "session": self.session,
            "token": f"ct_{self.session}",
            "lease_s": self.lease_s,
            "heartbeat_s": self.heartbeat_s,
            "poll_s": 0.2,
            "log_chunk_bytes": 65536,
            "min_version": "0",
        }

    def _logged(self, id: str, params: dict[str, str], text: bytes) -> Answer:
        had, seq = self.logs.get(id, b""), int(params["seq"])
        if int(params["offset"]) == len(had):
            self.logs[id] = had + text
        return 200, {"next_seq": seq + 1}

    def _other(self, path: str, raw: bytes) -> Answer:
        if path.endswith("/acquire"):
            AcquireIn.model_validate_json(raw)
            leases = list(self.offered)[:1] if self.state == "online" else []
            return 200, {"leases": leases, "state": self.state}
        if path.endswith("/heartbeat"):
            return self._beaten(HeartbeatIn.model_validate_json(raw))
        if path.endswith("/deregister"):
            return 200, {}
        _, _, id, verb = path.split("/")
        if verb == "start":
            StartIn.model_validate_json(raw)
            self.started[id] += 1
            self.offered = deque(o for o in self.offered if o["assignment_id"] != id)
            return 200, {}
        body = TypeAdapter(CompleteIn).validate_json(raw)
        self.told[id] += 1
        self.ends.setdefault(id, json.loads(body.model_dump_json(by_alias=True)))
        return 200, {}

    def _beaten(self, body: HeartbeatIn) -> Answer:
        self.spoken_for = {item.assignment_id for item in body.running}
        verdicts = [
            {"assignment_id": id, "verdict": self.verdicts.get(id, "ok")} for id in self.spoken_for
        ]
        return 200, {
            "verdicts": verdicts,
            "state": self.state,
            "lease_s": self.lease_s,
            "heartbeat_s": self.heartbeat_s,
            "poll_s": 0.2,
        }


@contextmanager
def standing_in(*, lease_s: float = 4.0, heartbeat_s: float = 0.3) -> Iterator[tuple[Standin, str]]:
    """The stand-in and its address."""
    standin = Standin(lease_s=lease_s, heartbeat_s=heartbeat_s)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            url = urlsplit(self.path)
            path = url.path.removeprefix("/api/v1")
            token = self.headers["Authorization"].removeprefix("Bearer ")
            params = {k: v[0] for k, v in parse_qs(url.query).items()}
            odd = standin.odd(path, raw)
            if odd is None or odd[0] == 0:
                status, body = standin.answer(path, params, raw, token)
            if odd is not None:
                status, body = odd
            if status == 0:
                self.close_connection = True
                return
            said = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield standin, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
