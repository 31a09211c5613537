"""The demo in one picture: how the energy fell, who had the device, what was found."""

import math
from pathlib import Path
from typing import Any, Final

from orchestrator.demo.loop import best
from orchestrator.demo.problem import ground_state, positions
from orchestrator.demo.story import Lane, Story

INK: Final = "#1f2a44"
FIRST: Final = "#1b7f9e"
SECOND: Final = "#e08a1e"
EXACT: Final = "#c0392b"
PALE: Final = "#d9dee8"
_STYLE: Final[dict[Any, Any]] = {
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9aa3b5",
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": 11,
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw(story: Story, path: Path) -> Path:
    """Writes a PNG and returns its path; makes the folder."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(12.5, 6.2), dpi=150, facecolor="white", layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # type: ignore[union-attr, call-arg]
        grid = figure.add_gridspec(2, 2, width_ratios=(1.15, 1), height_ratios=(1, 1.1))
        _convergence(figure.add_subplot(grid[:, 0]), story)
        _timeline(figure.add_subplot(grid[0, 1]), story)
        _histogram(figure.add_subplot(grid[1, 1]), story)
        figure.savefig(path)
    return path


def _convergence(axes: Any, story: Story) -> None:
    numbers = [trial.number for trial in story.trials]
    energies = [trial.energy for trial in story.trials]
    lowest = [min(energies[:count]) for count in numbers]
    per_round = sum(trial.round == 1 for trial in story.trials)
    for start in range(per_round, len(numbers), 2 * per_round):
        axes.axvspan(start + 0.5, start + per_round + 0.5, color="#f4f6fa", lw=0, zorder=0)
    _exact_line(axes, story.exact, numbers[0] - 0.3)
    axes.step(numbers, lowest, where="post", color=FIRST, lw=2.2, label="lowest so far", zorder=3)
    axes.scatter(
        numbers,
        energies,
        s=30,
        c=[trial.share for trial in story.trials],
        cmap="viridis",
        vmin=0,
        vmax=1,
        ec="white",
        lw=0.6,
        zorder=4,
    )
    found = best(list(story.trials))
    axes.scatter(
        [found.number],
        [found.energy],
        s=140,
        fc="none",
        ec=INK,
        lw=1.4,
        zorder=5,
        label=f"best: {found.energy:.2f}, {found.share:.0%} of its shots in a ground state",
    )
    bar = axes.figure.colorbar(axes.collections[-2], ax=axes, fraction=0.035, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    bar.set_label("shots in a ground state")
    axes.set(xlabel="job (rounds shaded)", ylabel="energy (rad/µs)", xlim=(0, len(numbers) + 1))
    axes.set_ylim(bottom=story.exact - 0.06 * (max(energies) - story.exact))
    axes.set_title("Energy measured by each job of the open batch")
    axes.legend(frameon=False, loc="upper right")


def _exact_line(axes: Any, exact: float, left: float) -> None:
    axes.axhline(exact, color=EXACT, lw=1.4, ls=(0, (5, 3)), zorder=2)
    axes.annotate(
        f"exact ground energy  {exact:.2f}",
        (left, exact),
        xytext=(0, -5),
        textcoords="offset points",
        color=EXACT,
        va="top",
    )


def _timeline(axes: Any, story: Story) -> None:
    lanes = ((story.first, FIRST, 1.0), (story.second, SECOND, 0.0))
    zero = story.first.created
    for lane, colour, height in lanes:
        created, began, ended = (
            (at - zero).total_seconds() for at in (lane.created, lane.began, lane.ended)
        )
        axes.barh(height, ended - began, left=began, height=0.5, color=colour, alpha=0.18, lw=0)
        waiting = {"fc": "white", "ec": PALE, "hatch": "////", "lw": 0}
        axes.barh(height, began - created, left=created, height=0.3, **waiting)
        axes.broken_barh(_bars(lane, zero), (height - 0.25, 0.5), color=colour, lw=0)
    handover = (story.second.began - zero).total_seconds()
    axes.axvline(handover, color=INK, lw=0.9, ls=(0, (2, 2)))
    waited = (story.second.created - zero).total_seconds()
    axes.text((waited + handover) / 2, 0.22, "waiting", ha="center", va="bottom", fontsize=9)
    axes.set_yticks([1.0, 0.0], [story.first.name, story.second.name])
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel="seconds since the first batch was submitted", ylim=(-0.55, 1.6))
    axes.set_xlim(left=0)
    axes.set_title("One batch at a time: each bar is a job")


def _bars(lane: Lane, zero: Any) -> list[tuple[float, float]]:
    return [
        ((span.began - zero).total_seconds(), (span.ended - span.began).total_seconds())
        for span in lane.spans
    ]


def _histogram(axes: Any, story: Story) -> None:
    counts = story.confirmed
    shots = sum(counts.values())
    _, grounds = ground_state()
    top = sorted(counts, key=lambda bitstring: -counts[bitstring])[:8]
    colours = [FIRST if bitstring in grounds else PALE for bitstring in top]
    axes.bar(top, [counts[bitstring] / shots for bitstring in top], color=colours, width=0.65)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set(ylabel="share of the shots")
    axes.tick_params(axis="x", length=0, labelsize=8.5)
    for label, bitstring in zip(axes.get_xticklabels(), top, strict=True):
        label.set_family("monospace")
        label.set_fontweight("bold" if bitstring in grounds else "normal")
    axes.set_title(f"The best sweep, measured again ({shots} shots)")
    _ring(axes.inset_axes((0.62, 0.36, 0.36, 0.66)), top[0])


def _ring(axes: Any, bitstring: str) -> None:
    """The register with the likeliest pattern: full circles are excited atoms."""
    places = list(positions().values())
    closed = [*places, places[0]]
    axes.plot(*zip(*closed, strict=True), color=PALE, lw=1.5, zorder=1)
    reach = 1.45 * math.hypot(*places[0])
    for number, ((x, y), bit) in enumerate(zip(places, bitstring, strict=True)):
        face = FIRST if bit == "1" else "white"
        axes.scatter([x], [y], s=170, fc=face, ec=FIRST, lw=1.6, zorder=2)
        axes.annotate(
            f"q{number}",
            (x, y),
            color="white" if bit == "1" else INK,
            ha="center",
            va="center",
            fontsize=7,
            zorder=3,
        )
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.axis("off")
