"""`holdfast verify`: the operator's own look at what was promised."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from orchestrator.commands.connection import USAGE, AsJson, fail
from orchestrator.commands.display import console, print_json, print_table, text

if TYPE_CHECKING:
    from orchestrator.config import Settings
    from orchestrator.proof.report import Line, Report, Tell, Violation

VIOLATED, AWAY = 1, 3
EXIT_CODES: Final = (
    "Exit codes: 0 nothing is violated, 1 something is, 2 wrong usage, "
    "3 the database or the object store could not be read."
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
        float, typer.Option(min=0, help="Seconds that a witness may take to arrive.")
    ] = 30.0,
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
        raise typer.Exit(_check(certificate, key, as_json=as_json))
    if key is not None:
        fail("--key is the key of a certificate: give --certificate, too", USAGE)
    now = datetime.now(UTC)
    span = {"since": _moment("--since", since, now), "until": _moment("--until", until, now)}
    report = _verify(_settings(), span, lag, read_objects=read_objects)
    if as_json:
        print_json(_as_dict(report))
    else:
        show(report)
    raise typer.Exit(0 if report.clean else VIOLATED)


def _check(path: Path, key: str | None, *, as_json: bool) -> int:
    from orchestrator.proof.certificate import check

    try:
        against = check(path.read_text(), key)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"--certificate {path} cannot be read: {error}", USAGE)
    if as_json:
        print_json({"clean": not against, "against": against})
    for reason in () if as_json else against:
        console().print(text(f"violated: {reason}", _STYLES["violated"]), soft_wrap=True)
    if not (as_json or against):
        trust = "with that key" if key else "but by whose key is not said: give --key"
        typer.echo(f"the batch was alone on its devices; signed {trust}")
    return VIOLATED if against else 0


def _moment(option: str, given: str | None, now: datetime) -> datetime | None:
    if given is None:
        return None
    if span := re.fullmatch(r"(\d{1,6})([smhd])", given):
        return now - timedelta(seconds=int(span[1]) * _UNITS[span[2]])
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        fail(f"{option} must be {_MOMENT}, got {given!r}", USAGE)
    return moment if moment.tzinfo else moment.astimezone()


def _settings() -> Settings:
    from orchestrator.config import BadSettings, Settings

    try:
        return Settings.from_env(os.environ)
    except BadSettings as error:
        fail("; ".join(error.problems), USAGE)


def _verify(
    given: Settings, span: dict[str, datetime | None], lag: float, *, read_objects: bool
) -> Report:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from orchestrator.errors import Unavailable
    from orchestrator.proof.verify import Patience, verify

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
                patience=Patience(lag_s=lag),
                read_objects=read_objects,
                progress=_teller(bar),
            )
    except Unavailable as error:
        fail(f"could not look: {error}", AWAY)


def _teller(bar: Any) -> Tell:
    task = bar.add_task("", total=None)

    def tell(done: int, of: int, what: str) -> None:
        bar.update(task, completed=done, total=of, description=what)

    return tell


def show(report: Report) -> None:
    """A table of what was looked at, and then every row that is named."""
    from orchestrator.proof.report import PROMISES

    print_table(
        ("#", "PROMISE", "WHAT", "LOOKED AT", "FOUND", ""),
        [_cells(line, PROMISES[line.invariant]) for line in report.lines],
        "nothing was looked at",
    )
    out = console()
    for title, rows in (("violated", report.violations), ("warn", report.warnings)):
        for found in rows:
            out.print(text(_sentence(title, found), _STYLES[title]), soft_wrap=True)
    bad = len({(found.invariant, found.what) for found in report.violations})
    verdict = f"{bad} of {len(report.lines)} checks are violated" if bad else "nothing is violated"
    out.print(f"{verdict}; as of {report.at:%Y-%m-%d %H:%M:%S %Z}, in {report.took_s:.1f} s")


def _cells(line: Line, promise: str) -> tuple[Any, ...]:
    looked_at = f"{line.looked_at:,} {line.of}"
    found = f"{line.found:,}" if line.found else ""
    verdict = text(line.verdict.value, _STYLES.get(line.verdict.value, "dim"))
    return (str(line.invariant or ""), promise, line.what, looked_at, found, verdict)


def _sentence(title: str, found: Violation) -> str:
    named = ", ".join(f"{name} {value}" for name, value in found.row.items() if value is not None)
    return f"{title} {found.invariant}: {found.what}: {named}"


def _as_dict(report: Report) -> dict[str, Any]:
    return {
        "clean": report.clean,
        "at": report.at.isoformat(),
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
