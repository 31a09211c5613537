"""What the terminal shows while the demo runs, and at its end."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.box import ROUNDED
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from orchestrator.demo.loop import PER_ROUND, ROUNDS, Trial, best
from orchestrator.demo.problem import (
    ATOMS,
    DETUNING,
    SPACING,
    ground_share,
    ground_state,
    mean_energy,
    to_variables,
)
from orchestrator.demo.story import Story

_BAR: Final = 18


class Report:
    """Prints lines that stay, so that a log shows the same as a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)

    def opening(self, exact: float) -> None:
        text = Text.assemble(
            f"Find the ground state of {ATOMS} Rydberg atoms on a ring, {SPACING:g} um apart, ",
            f"at a detuning of {DETUNING:g} rad/us; its energy is {exact:.2f} rad/us. ",
            "A classical optimiser proposes sweeps of the laser and learns from the counts: ",
            (f"{ROUNDS} rounds of {PER_ROUND} jobs", "bold"),
            ", all in one ",
            ("open batch", "bold cyan"),
            " that holds the device meanwhile. A ",
            ("second batch", "bold yellow"),
            " waits in the queue.",
        )
        self._console.print(Panel(text, title="Holdfast demo", box=ROUNDED, width=76))
        head = f"{'round':>5} {'jobs':>4}   {'best, of the exact energy':<{_BAR + 7}}"
        self._console.print(f"{head}{'best':>7}{'mean':>8}   second batch", style="dim")

    @contextmanager
    def working(self, what: str) -> Generator[None]:
        with self._console.status(f"[cyan]{what} ..."):
            yield

    def round(
        self, trials: Sequence[Trial], exact: float, waiting: str, position: int | None
    ) -> None:
        """One line; `waiting` and `position` are the second batch's place in the queue."""
        latest = [trial for trial in trials if trial.round == trials[-1].round]
        lowest = best(list(trials)).energy
        mean = sum(trial.energy for trial in latest) / len(latest)
        share = lowest / exact
        filled = round(max(0.0, min(share, 1.0)) * _BAR)
        queue = f", place {position}" if position else ""
        line = Text.assemble(
            f"{latest[0].round:>5} {len(trials):>4}   ",
            ("━" * filled, "cyan"),
            ("┄" * (_BAR - filled), "bright_black"),
            f" {share:>5.1%} ",
            (f"{lowest:>7.2f}", "bold"),
            f"{mean:>8.2f}   ",
            (f"{waiting}{queue}", "yellow"),
        )
        self._console.print(line)

    def result(self, story: Story) -> None:
        self._console.print()
        self._console.print(_physics(story))
        self._console.print(_queueing(story))
        self._console.print(_verdict(story))

    def saved(self, picture: Path) -> None:
        self._console.print(f"Picture: [link=file://{picture.resolve()}]{picture}[/link]")


def _physics(story: Story) -> Table:
    found = best(list(story.trials))
    energy, share = mean_energy(story.confirmed), ground_share(story.confirmed)
    likeliest = max(story.confirmed, key=lambda bitstring: story.confirmed[bitstring])
    _, grounds = ground_state()
    gap = energy - story.exact
    delta = " → ".join(f"{value:.1f}" for value in to_variables(found.point)["delta"])
    sweep = f"amplitude {found.point['omega_max']:.1f}, detuning {delta}"
    table = _table("Ground state", "rad/us")
    table.add_row("exact energy", f"{story.exact:.3f}")
    table.add_row("lowest energy in the loop", f"{found.energy:.3f}  (job {found.number})")
    table.add_row("the same job, measured again", f"[bold]{energy:.3f}[/]")
    table.add_row("gap", f"{gap:.3f}, {gap / abs(story.exact):.1%} of the exact energy")
    table.add_row(
        "shots in a ground state", f"{share:.0%}  (by chance {len(grounds) / 2**ATOMS:.0%})"
    )
    table.add_row("most frequent", f"{likeliest}  (exact: {' or '.join(grounds)})")
    table.add_row("its sweep", sweep)
    return table


def _queueing(story: Story) -> Table:
    table = _table("Batch", "status", "jobs", "submitted", "first job", "last job ended")
    zero = story.first.created
    for lane, style in ((story.first, "cyan"), (story.second, "yellow")):
        times = [(at - zero).total_seconds() for at in (lane.created, lane.began, lane.ended)]
        stamps = [f"{seconds:.2f} s" for seconds in times]
        table.add_row(f"[{style}]{lane.name}[/]", lane.status, str(len(lane.spans)), *stamps)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=ROUNDED)
    for column in columns:
        table.add_column(column)
    return table


def _verdict(story: Story) -> Text:
    if story.was_exclusive():
        waited = (story.second.began - story.second.created).total_seconds()
        return Text.assemble(
            ("✓ ", "bold green"),
            f"The device was never shared. The second batch waited {waited:.1f} s, and began ",
            f"{story.handover_s():.2f} s after the last job of the first.",
        )
    return Text("✗ The device was shared: a job began before another had ended.", "bold red")
