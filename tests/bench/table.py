"""The readings, side by side."""

from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.bench.reading import Reading


def show(console: Console, title: str, readings: Sequence[Reading]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in ("metric", "ours", "peer", "ratio", "aim", "verdict"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for reading in readings:
        table.add_row(*_cells(reading))
    console.print(table)


def _cells(reading: Reading) -> tuple[str, ...]:
    ratio = reading.ratio
    sign = "≤" if reading.aim.way == "at most" else "≥"
    unit = f" {reading.unit}" if ratio is None else "×"
    return (
        reading.metric,
        _figure(reading.ours, reading.unit),
        f"{_figure(reading.peer, reading.unit)}\n{reading.against}" if reading.peer else "",
        "" if ratio is None else f"{ratio:.2f}×",
        f"{sign} {reading.aim.bound:g}{unit}",
        "[green]met[/]" if reading.met else "[red]short[/]",
    )


def _figure(values: Sequence[float], unit: str) -> str:
    """The median, and under it the range."""
    middle = f"{_number(median(values))} {unit}"
    if len(values) < 2:
        return middle
    return f"{middle}\n[dim]{_number(min(values))} to {_number(max(values))}[/]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
