"""Certificates: that a batch was alone on its devices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.commands.connection import (
    EXIT_CODES,
    REFUSED,
    USAGE,
    USE,
    ApiKey,
    AsJson,
    Url,
    connected,
    fail,
)


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=USE, epilog=EXIT_CODES)(certificate)


def certificate(
    batch: Annotated[
        str | None, typer.Argument(metavar="BATCH", help="The batch's id.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it here instead of printing it.")
    ] = None,
    key: Annotated[
        bool, typer.Option("--key", help="Print the key that this server signs with.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for it.")] = 60.0,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Get the certificate that a batch was alone on its devices; `holdfast verify --certificate`
    checks it without a server.

    Example: holdfast certificate 0198c0de-1111-7000-8000-000000000001 --output alone.json
    """
    if key == (batch is not None):
        fail("name a batch, or ask for the --key", USAGE)
    with connected(url, api_key) as client:
        if batch is None:
            found = client.certificate_key()
            said = _text(found) if as_json else found["public_key"]
        else:
            said = _text(client.attach(batch).certificate(timeout))
    return typer.echo(said) if output is None else _write(output, said)


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _write(output: Path, said: str) -> None:
    try:
        output.write_text(f"{said}\n")
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}", REFUSED)
