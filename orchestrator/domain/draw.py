"""`python -m orchestrator.domain.draw [--check]`: docs/states.md, drawn from the table of moves."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum
from pathlib import Path
from typing import Final

from orchestrator.domain.transitions import (
    BATCH_ENDS,
    BATCH_MOVES,
    JOB_ENDS,
    JOB_MOVES,
    BatchMove,
    JobMove,
)
from schemas.words import BatchStatus, JobStatus

PAGE: Final = Path(__file__).parents[2] / "docs" / "states.md"
COMMAND: Final = "python -m orchestrator.domain.draw"
Moves = Mapping[str, BatchMove | JobMove]

_HEAD: Final = f"""\
# States

Drawn from `orchestrator/domain/transitions.py` by `{COMMAND}`; not to be
edited here. No other move is possible: each is a guarded `UPDATE` in `orchestrator/store/moves*.py`
that writes its event in the same statement. A job that ends before its device said that it began
makes both moves at once.
"""


def page() -> str:
    """The whole file."""
    batches: Moves = {event.value: move for event, move in BATCH_MOVES.items()}
    jobs: Moves = {event.value: move for event, move in JOB_MOVES.items()}
    return "\n".join(
        [
            _HEAD,
            *_section("Batch", BatchStatus, batches, BATCH_ENDS),
            "",
            *_section("Job", JobStatus, jobs, JOB_ENDS),
            "",
        ]
    )


def main(arguments: Sequence[str] | None = None, path: Path = PAGE) -> int:
    """0, or 1 if `--check` found another drawing than the table gives."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Draw docs/states.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; say if it differs")
    if not parser.parse_args(arguments).check:
        path.write_text(page(), encoding="utf-8")
        return 0
    if path.is_file() and path.read_text(encoding="utf-8") == page():
        return 0
    print(f"{path.name} is not what the moves are: run `{COMMAND}`", file=sys.stderr)
    return 1


def _section(
    title: str, statuses: type[StrEnum], moves: Moves, ends: AbstractSet[str]
) -> list[str]:
    order = {status.value: place for place, status in enumerate(statuses)}
    return [
        f"## {title}",
        "",
        f"Terminal: {', '.join(status for status in statuses if status in ends)}.",
        "",
        *_diagram(order, moves, ends),
        "",
        *_table(order, moves),
    ]


def _diagram(order: Mapping[str, int], moves: Moves, ends: AbstractSet[str]) -> list[str]:
    arrows: dict[tuple[str, str], list[str]] = {}
    for event, move in moves.items():
        for source in sorted(move.sources, key=order.__getitem__):
            arrows.setdefault((source, move.target), []).append(event)
    return [
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {next(iter(order))}",
        *(f"    {a} --> {b}: {', '.join(events)}" for (a, b), events in arrows.items()),
        *(f"    {status} --> [*]" for status in order if status in ends),
        "```",
    ]


def _table(order: Mapping[str, int], moves: Moves) -> list[str]:
    rows = ["| event | from | to | when |", "| --- | --- | --- | --- |"]
    for event, move in moves.items():
        sources = ", ".join(sorted(move.sources, key=order.__getitem__))
        rows.append(f"| {event} | {sources} | {move.target} | {move.when} |")
    return rows


if __name__ == "__main__":
    sys.exit(main())
