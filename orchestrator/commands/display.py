"""How things look: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES: Final = {
    "PENDING": "yellow",
    "ADMITTED": "cyan",
    "RUNNING": "bold cyan",
    "PAUSED": "magenta",
    "PREEMPTED": "magenta",
    "DONE": "green",
    "CANCELED": "dim",
    "TIMED_OUT": "red",
    "ERROR": "bold red",
    "ONLINE": "green",
    "DRAINING": "yellow",
    "OFFLINE": "red",
}
PIPED_WIDTH: Final = 160


def console(stream: TextIO | None = None) -> Console:
    """A console on stdout, or on `stream`. A pipe has no width of its own: it gets a wide
    one, so that ids stay whole."""
    out = sys.stdout if stream is None else stream
    return Console(file=out, width=None if out.isatty() else PIPED_WIDTH, highlight=False)


def print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def text(value: Any, style: str = "") -> Text:
    """Safe to show: what users wrote is no markup and cannot steer the terminal."""
    shown = "" if value is None else str(value)
    return Text(
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown), style
    )


def status(word: str) -> Text:
    return text(word, STYLES.get(word, ""))


def ago(moment: datetime | None, now: datetime | None = None) -> Text:
    """How long since then, in the largest unit that says something."""
    if moment is None:
        return Text("")
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    span = duration(abs(seconds))
    return Text(f"in {span}" if seconds < -1 else f"{span} ago", "dim")


def duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def between(start: datetime | None, end: datetime | None) -> Text:
    if start is None:
        return Text("")
    return Text(duration(((end or datetime.now(UTC)) - start).total_seconds()))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
    """Ids and numbers stay on one line; what is too long elsewhere wraps."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=name in ("ID", "STATUS"), overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else text(cell) for cell in row))
    out = console()
    out.print(table if table.row_count else Text(empty, "dim"))


def print_details(facts: dict[str, Any]) -> None:
    """One fact a line; what is None or empty is left out."""
    grid = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value is None or value == [] or value == "" or (isinstance(value, Text) and not value):
            continue
        grid.add_row(Text(name, "bold"), value if isinstance(value, Text) else _fact(value))
    console().print(grid)


def _fact(value: Any) -> Text:
    if isinstance(value, datetime):
        return Text(value.astimezone().strftime("%Y-%m-%d %H:%M:%S  ")) + ago(value)
    if isinstance(value, list | dict):
        return text(json.dumps(value, ensure_ascii=False))
    return text(value)
