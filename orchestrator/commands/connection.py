"""Which server a command speaks to, and what its exit code says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

if TYPE_CHECKING:
    from holdfast import Client, HoldfastError

READY_FILE: Final = Path(".holdfast/ready.json")
REFUSED, USAGE, NOT_DONE, NOT_FOUND, UNREACHABLE, INTERRUPTED = 1, 2, 3, 4, 5, 130
EXIT_CODES: Final = (
    "Exit codes: 0 ok, 1 refused, 2 wrong usage, 3 the batch did not end DONE, "
    "4 not found, 5 server unreachable."
)
USE: Final = "Use"
_PANEL: Final = "Server"

Url = Annotated[
    str | None,
    typer.Option(
        envvar="HOLDFAST_URL",
        show_default=False,
        rich_help_panel=_PANEL,
        help="The server's address. Without address and key: those of `holdfast dev` here.",
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="HOLDFAST_API_KEY",
        show_default=False,
        rich_help_panel=_PANEL,
        help="Better in the environment: other users of this machine can see a command line.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on stdout, and nothing else there.")
]


def fail(message: str, code: int) -> NoReturn:
    typer.echo(f"holdfast: {message}", err=True)
    raise typer.Exit(code)


@contextmanager
def connected(url: str | None, api_key: str | None) -> Iterator[Client]:
    """The client; whatever goes wrong inside becomes a message on stderr and an exit code."""
    try:
        from holdfast import Client, HoldfastError
    except ModuleNotFoundError:
        fail("this command needs the client library: pip install ./client", USAGE)
    try:
        with Client(*_server(url, api_key), retries=3) as client:
            yield client
    except HoldfastError as error:
        fail(str(error), _code(error))
    except KeyboardInterrupt:
        fail("interrupted; what was submitted goes on", INTERRUPTED)


def _code(error: HoldfastError) -> int:
    from holdfast import ConnectionFailed, NotConfigured, NotFound, Unavailable

    codes: dict[type[HoldfastError], int] = {
        NotFound: NOT_FOUND,
        ConnectionFailed: UNREACHABLE,
        Unavailable: UNREACHABLE,
        NotConfigured: USAGE,
    }
    return codes.get(type(error), REFUSED)


def _server(url: str | None, api_key: str | None) -> tuple[str, str]:
    if url and api_key:
        return url, api_key
    # Never half from the file: whoever wrote it would get the key that is meant for another.
    if url:
        fail("no API key: set HOLDFAST_API_KEY", USAGE)
    if api_key:
        fail("no address: set HOLDFAST_URL or give --url", USAGE)
    try:
        ready = json.loads(READY_FILE.read_text())
        return str(ready["base_url"]), str(ready["api_key"])
    except FileNotFoundError:
        fail(
            "no server: set HOLDFAST_URL and HOLDFAST_API_KEY, or start one here with "
            f"`holdfast dev --ready-file {READY_FILE}`",
            USAGE,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        fail(f"{READY_FILE} cannot be used: {type(error).__name__}: {error}", USAGE)
