"""`holdfast verify`: the operator's own look at what was promised."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from orchestrator.commands import certified
from orchestrator.commands.connection import USAGE, AsJson, fail
from orchestrator.commands.database import settings
from orchestrator.commands.display import console, print_json, print_table, text

if TYPE_CHECKING:
    from orchestrator.config import Settings
    from orchestrator.proof.report import Line, Report, Tell, Violation

VIOLATED, AWAY = 1, 3
EXIT_CODES: Final = (
    "Exit codes: 0 ok: nothing is violated, 1 something is, 2 wrong usage, "
    "3 the database or the object store could not be read."
)
_STORE: Final = (
    "HOLDFAST_STORE_URL or the HOLDFAST_S3_ settings: they must name the store of the workers,"
    " which make it when they first start"
)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_STYLES: Final = {"ok": "green", "warn": "yellow", "violated": "bold red"}
_MOMENT: Final = "a moment as 2026-05-01T12:00:00Z, or how long ago, as 90s, 30m, 24h or 7d"


def register(app: typer.Typer) -> None:
    app.command(epilog=EXIT_CODES, rich_help_panel="Parts of a deployment")(verify)


def verify(
    since: Annotated[str | None, typer.Option(help=f"From {_MOMENT}.")] = None,
    until: Annotated[str | None, typer.Option(help=f"Up to {_MOMENT}.")] = None,
    lag: Annotated[
        float | None, typer.Option(min=0, help="Seconds that a witness may take to arrive (30).")
    ] = None,
    read_objects: Annotated[
        bool, typer.Option("--read-objects", help="Read every result in the object store.")
    ] = False,
    certificate: Annotated[
        Path | None, typer.Option(help="Check this certificate instead, without any server.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The public key that must have signed it.")
    ] = None,
    as_json: AsJson = False,
) -> NoReturn:
    """Check every promise against the database and the devices' own logs; changes nothing.

    Example: holdfast verify --since 24h
    """
    if certificate is not None:
        if read_objects or any(each is not None for each in (since, until, lag)):
            fail("--certificate looks at that file alone: it goes only with --key", USAGE)
        raise typer.Exit(VIOLATED if certified.show(certificate, key, as_json=as_json) else 0)
    if key is not None:
        fail("--key is the key of a certificate: give --certificate, too", USAGE)
    report = _verify(settings(), _span(since, until), lag, read_objects=read_objects)
    if as_json:
        print_json(_as_dict(report))
    else:
        show(report)
    raise typer.Exit(0 if report.clean else VIOLATED)


def _span(since: str | None, until: str | None) -> dict[str, datetime | None]:
    now = datetime.now(UTC)
    first, last = _moment("--since", since, now), _moment("--until", until, now)
    if first is not None and first > (last or now):
        fail(f"--since must be before {'now' if last is None else '--until'}, got {since!r}", USAGE)
    if first is not None and first > now:
        fail(f"--since must not be in the future, got {since!r}", USAGE)
    return {"since": first, "until": last}


def _moment(option: str, given: str | None, now: datetime) -> datetime | None:
    if given is None:
        return None
    try:
        if span := re.fullmatch(r"(\d{1,6})([smhd])", given):
            return now - timedelta(seconds=int(span[1]) * _UNITS[span[2]])
        return datetime.fromisoformat(given).astimezone(UTC)
    except (ValueError, OverflowError):
        fail(f"{option} must be {_MOMENT}, got {given!r}", USAGE)


def _verify(
    given: Settings, span: dict[str, datetime | None], lag: float | None, *, read_objects: bool
) -> Report:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from orchestrator.errors import Unavailable
    from orchestrator.proof.verify import Patience, verify
    from orchestrator.store.objects import StoreAway

    bar = Progress(
        TextColumn("{task.description:<36}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console(sys.stderr),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    try:
        with bar:
            return verify(
                given.database_url,
                given.store_url,
                s3=given.s3,
                **span,
                patience=Patience() if lag is None else Patience(lag_s=lag),
                read_objects=read_objects,
                progress=_teller(bar),
            )
    except StoreAway as error:
        fail(f"could not look: {error}; mend {_STORE}", AWAY)
    except Unavailable as error:
        fail(f"could not look: {error}", AWAY)


def _teller(bar: Any) -> Tell:
    task = bar.add_task("", total=None)

    def tell(done: int, of: int, what: str) -> None:
        bar.update(task, completed=done, total=of, description=what)

    return tell


def show(report: Report) -> None:
    """A table of what was looked at, and then every row that is named."""
    print_table(
        ("#", "WHAT", "LOOKED AT", "FOUND", ""),
        [_cells(line) for line in report.lines],
        "nothing was looked at",
    )
    out = console()
    for title, rows in (("violated", report.violations), ("warn", report.warnings)):
        for found in rows:
            out.print(text(_sentence(title, found), _STYLES[title]), soft_wrap=True)
    as_of = f"as of {_said(report.at)}, in {report.took_s:.1f} s"
    out.print(f"{_verdict(report)}; {_range(report)}; {as_of}", soft_wrap=True)


def _verdict(report: Report) -> str:
    bad = len({(found.invariant, found.what) for found in report.violations})
    verdict = f"{bad} of {len(report.lines)} checks are violated" if bad else "nothing is violated"
    if report.warned:
        verdict += f", {report.warned:,} warning{'s' if report.warned > 1 else ''}"
    return verdict


def _range(report: Report) -> str:
    if report.since is report.until is None:
        return "all batches"
    since = "" if report.since is None else f" from {_said(report.since)}"
    return f"batches alive{since} to {'now' if report.until is None else _said(report.until)}"


def _said(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _cells(line: Line) -> tuple[Any, ...]:
    looked_at = f"{line.looked_at:,} {line.of}"
    found = f"{line.found:,}" if line.found else ""
    verdict = text(line.verdict.value, _STYLES.get(line.verdict.value, "dim"))
    return (str(line.invariant or ""), line.what, looked_at, found, verdict)


def _sentence(title: str, found: Violation) -> str:
    named = ", ".join(f"{name} {value}" for name, value in found.row.items() if value is not None)
    return f"{title} {found.invariant}: {found.what}: {named}"


def _as_dict(report: Report) -> dict[str, Any]:
    return {
        "clean": report.clean,
        "at": report.at.isoformat(),
        "since": report.since and report.since.isoformat(),
        "until": report.until and report.until.isoformat(),
        "took_s": round(report.took_s, 3),
        "counts": dict(report.counts),
        "lines": [
            {
                "invariant": line.invariant,
                "what": line.what,
                "looked_at": line.looked_at,
                "of": line.of,
                "found": line.found,
                "verdict": line.verdict.value,
            }
            for line in report.lines
        ],
        "violations": [_found(each) for each in report.violations],
        "warnings": [_found(each) for each in report.warnings],
    }


def _found(found: Violation) -> dict[str, Any]:
    row = {name: _plain(value) for name, value in found.row.items()}
    return {"invariant": found.invariant, "what": found.what, "row": row}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
