"""Serve the API until a signal says otherwise."""

import gc
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI

from orchestrator.api.app import create_app
from orchestrator.config import Settings
from orchestrator.services.core import Core
from orchestrator.telling import telling

CONNECTIONS_MOST: Final = 1024
GRACE_S: Final = 5
KEEP_ALIVE_S: Final = 75


class Server(uvicorn.Server):
    """Ends the event streams first: they would never end by themselves."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app = self.config.app
        if isinstance(app, FastAPI) and hasattr(app.state, "streams"):
            app.state.streams.closing.set()
        await super().shutdown(sockets)


def server_for(core: Core, host: str, port: int) -> Server:
    config = uvicorn.Config(
        create_app(core),
        host=host,
        port=port,
        http="httptools",
        loop="auto",
        access_log=False,
        log_config=None,
        server_header=False,
        limit_concurrency=CONNECTIONS_MOST,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        ws="none",
    )
    return Server(config)


def serve(settings: Settings, host: str, port: int) -> int:
    """The exit code: 0 after a signal, 1 if it could not start."""
    with telling("api", settings):
        return _serve(settings, host, port)


def _serve(settings: Settings, host: str, port: int) -> int:
    core = Core.start(settings)
    server = server_for(core, host, port)
    # What is there now stays for ever: looked through again and again, it costs calls of a
    # thousand jobs up to 100 ms.
    gc.collect()
    gc.freeze()
    try:
        with _signals_end_quietly():
            server.run()
    except SystemExit:
        return 1
    finally:
        core.close()
    return 0 if server.started else 1


@contextmanager
def _signals_end_quietly() -> Generator[None]:
    """Uvicorn raises the signal again once it has shut down; by then all is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, lambda *_: None) for each in ours}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
