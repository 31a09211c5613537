"""A small real HTTP server that speaks the native API from memory, for the tests of the client
and of the commands."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
from pydantic import ValidationError

from schemas.problem import FieldError
from tests.unit.test_client_standin_api import ROUTES, Api, Refusal, Seen, plain
from tests.unit.test_client_standin_model import Model

KEY: Final = "av_the-secret-of-the-tests"
JSON: Final = {"Content-Type": "application/json"}


@dataclass
class Planned:
    """What becomes of the next request that matches: this answer, or, where `status` is 0, a
    connection that breaks; after the work was done, if `worked`."""

    method: str
    path: str
    status: int = 0
    worked: bool = False
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class StandIn(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.model = Model()
        self.api = Api(self.model)
        self.requests: list[Seen] = []
        self.planned: list[Planned] = []
        self.answered: dict[str, tuple[int, Any]] = {}
        self.streams = True
        self.keep_alive_s = 0.02
        self.streams_cut = 0
        self.stopping = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def plan(self, method: str, path: str, **what: Any) -> None:
        self.planned.append(Planned(method, path, **what))

    def seen(self, method: str, path: str) -> list[Seen]:
        return [each for each in self.requests if (each.method, each.path) == (method, path)]

    def when_streamed(self, times: int, act: Any) -> threading.Thread:
        """Act, once so many streams have been opened."""
        thread = threading.Thread(target=self._when_streamed, args=(times, act), daemon=True)
        thread.start()
        return thread

    def _when_streamed(self, times: int, act: Any) -> None:
        with self.model.changed:
            if self.model.changed.wait_for(lambda: len(self.opened()) >= times, 10):
                act()

    def opened(self) -> list[Seen]:
        return [each for each in self.requests if _wants_stream(each)]

    def cut_streams(self) -> None:
        with self.model.changed:
            self.streams_cut += 1
            self.model.changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    server: StandIn
    cut = 0
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def handle_any(self) -> None:
        seen = self.read_request()
        with self.server.model.changed:
            self.cut = self.server.streams_cut
            self.server.requests.append(seen)
            self.server.model.changed.notify_all()
        plan = next((p for p in self.server.planned if (p.method, p.path) == _key(seen)), None)
        if plan is not None:
            self.server.planned.remove(plan)
            return self.play(plan, seen)
        if _wants_stream(seen) and self.server.streams:
            return self.stream(seen)
        return self.reply(*self.answer(seen))

    def read_request(self) -> Seen:
        url = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.loads(raw) if raw else None
        return Seen(self.command, unquote(url.path), parse_qs(url.query), headers, body)

    def play(self, plan: Planned, seen: Seen) -> None:
        if plan.worked:
            self.answer(seen)
        if plan.status:
            return self.reply(plan.status, plan.body, plan.headers)
        self.close_connection = True
        return None

    def answer(self, seen: Seen) -> tuple[int, Any]:
        if seen.headers.get("authorization") != f"Bearer {KEY}":
            return 401, Refusal(401, "unauthorized", "the API key is not valid").problem
        key = seen.headers.get("idempotency-key")
        with self.server.model.changed:
            if key in self.server.answered:
                return self.server.answered[key]
            answer = self.call(seen)
            if key is not None:
                self.server.answered[key] = answer
            return answer

    def call(self, seen: Seen) -> tuple[int, Any]:
        for method, path, act in ROUTES:
            found = re.fullmatch(path.replace("*", "([^/]+)"), seen.path)
            if found and method == seen.method:
                try:
                    status, answer = act(self.server.api, seen, *found.groups())
                except Refusal as refusal:
                    return refusal.status, refusal.problem
                except ValidationError as error:
                    return 422, _invalid(error).problem
                return status, plain(answer)
        return 404, Refusal(404, "not_found", f"no route {seen.path}").problem

    def reply(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        content = b"" if status == 204 else content
        self.send_response(status)
        for name, value in {**JSON, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, seen: Seen) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        cursor = seen.headers.get("last-event-id")
        changed = self.server.model.changed
        while True:
            with changed:
                if self.server.stopping or self.server.streams_cut > self.cut:
                    return
                events = self.server.api.after(seen, cursor)
                if not events:
                    changed.wait(self.server.keep_alive_s)
            for event in events:
                cursor = event.id
                text = f"id: {event.id}\nevent: {event.kind}\ndata: {event.model_dump_json()}\n\n"
                self.wfile.write(text.encode())
            if not events:
                self.wfile.write(b": keep-alive\n\n")


for verb in ("GET", "POST", "PUT", "DELETE"):
    setattr(Handler, f"do_{verb}", Handler.handle_any)


@contextmanager
def running_stand_in() -> Iterator[StandIn]:
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        with server.model.changed:
            server.stopping = True
            server.model.changed.notify_all()
        server.shutdown()
        server.server_close()
        thread.join()


def _key(seen: Seen) -> tuple[str, str]:
    return seen.method, seen.path


def _wants_stream(seen: Seen) -> bool:
    return seen.path == "/v1/events" and "event-stream" in seen.headers.get("accept", "")


def _invalid(error: ValidationError) -> Refusal:
    flaws = [
        FieldError(
            field=re.sub(r"\.(\d+)", r"[\1]", ".".join(map(str, each["loc"]))), message=each["msg"]
        )
        for each in error.errors()
    ]
    return Refusal(422, "rejected", "the request is not valid", flaws)


def test_the_stand_in_answers_only_those_who_know_the_key() -> None:
    with running_stand_in() as server:
        answers = [
            httpx.get(f"{server.url}/v1/limits", headers={"Authorization": f"Bearer {key}"})
            for key in ("av_wrong", KEY)
        ]
    assert [answer.status_code for answer in answers] == [401, 200]
