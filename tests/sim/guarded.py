"""Guards of the engine, each with a history that goes wrong without it.

A history is a few steps, `kind x after`; it was found by searching seeds with the guard taken out,
and shrunk. When the code has moved on, they are found again by

    python -m tests.sim.guarded > new.tsv && mv new.tsv tests/sim/histories.tsv
"""

import importlib
import sys
from pathlib import Path
from typing import Final, NamedTuple

from tests.sim import history, script
from tests.sim.guards import without
from tests.sim.script import Step

SEEDS: Final = 20_000
HISTORIES: Final = Path(__file__).with_name("histories.tsv")


class Guard(NamedTuple):
    """`text` in the source of `module`, and what stands there when it is taken out."""

    name: str
    module: str
    text: str
    instead: str


GUARDS: Final = (
    Guard(
        "a run that is not the current one is late",
        "orchestrator.services.outcomes",
        "job is None or job.run != outcome.run",
        "job is None",
    ),
    Guard(
        "what nobody wants any more is not tried again",
        "orchestrator.services.outcomes",
        "unwanted=_unwanted(job, touched[job.batch_id])",
        "unwanted=False",
    ),
    Guard(
        "a batch that is over takes no jobs",
        "orchestrator.services.append",
        "if row.status in BATCH_ENDS:",
        "if False:",
    ),
    Guard(
        "a batch leaves its device when nothing of it is on its way",
        "orchestrator.domain.seat",
        "return Step.WAIT if seat.in_flight else leaving",
        "return leaving",
    ),
    Guard(
        "only what is idle now times out",
        "orchestrator.services.sweep",
        "row is None or not is_idle(row.open, row.jobs_left, row.idle_deadline, tx.at)",
        "row is None",
    ),
    Guard(
        "who takes the permit begins",
        "workers.execute",
        "gone = not self.permits.take(task.job, task.run)",
        "gone = False",
    ),
    Guard(
        "the journal answers for what it knows",
        "workers.execute",
        "if known := self.journal.find(task.job, task.run):",
        "if known := None:",
    ),
    Guard(
        "a window waits for the one before it",
        "workers.execute",
        "stuck = window.after is not None and window.after != self.served",
        "stuck = False",
    ),
    Guard(
        "nothing of a window begins behind a run that was lost",
        "workers.execute",
        "stuck = stuck or not _is_over(outcomes[-1])",
        "pass",
    ),
    Guard(
        "nor behind one whose permit is gone, whoever took it",
        "workers.execute",
        "stuck = stuck or not _is_over(outcomes[-1])",
        "stuck = stuck or isinstance(outcomes[-1], Lost)",
    ),
    Guard(
        "a journal keeps what an older window may ask it for",
        "orchestrator.services.recall",
        "settled_below=left[0].id",
        "settled_below=window.id",
    ),
    Guard(
        "an executor dies with its lease",
        "tests.sim.worker",
        "return self.renewed_at + LEASHED_FOR * LEASE_S",
        "return NEVER",
    ),
    Guard(
        "a worker says hello until it is heard",
        "tests.sim.worker",
        "return not met and",
        "return False and",
    ),
    Guard(
        "after Redis forgot, a lease is waited for",
        "tests.sim.worker",
        "free = self.broker.remembers_for() > LEASE_S if holder is None else False",
        "free = holder is None",
    ),
    Guard(
        "a run that was given up is not shown as running",
        "tests.sim.memory_moves",
        "row.run != run or row.window_id is None",
        "row.run != run",
    ),
    Guard(
        "a batch moves only from where the move begins",
        "tests.sim.memory_moves",
        "row is None or row.status not in move.sources",
        "row is None",
    ),
    Guard(
        "a job moves only from where the move begins",
        "tests.sim.memory_moves",
        "for job in named(rows, jobs) if job.status in move.sources]",
        "for job in named(rows, jobs)]",
    ),
)


def read(text: str) -> list[Step]:
    words = (part.split() for part in text.split("|"))
    return [Step(kind, float(x), float(after)) for kind, x, after in words]


def written(steps: list[Step]) -> str:
    return "|".join(f"{step.kind} {min(step.x, 0.9999):.4f} {step.after:g}" for step in steps)


def histories() -> dict[str, list[Step]]:
    """By the name of the guard."""
    lines = HISTORIES.read_text().splitlines()
    return {name: read(steps) for name, steps in (line.split("\t") for line in lines)}


def find(guard: Guard, known: list[Step]) -> str | None:
    """The history that is known, where it still goes wrong without this guard; else the smallest
    that is found."""
    with without(importlib.import_module(guard.module), guard.text, guard.instead):
        for steps in (known, *map(script.write, range(SEEDS))):
            coarse = read(written(steps)) if steps else []
            if history.verdict(coarse):
                return written(history.shrink(coarse))
    return None


def main() -> int:
    history.listen()
    missed, known = 0, histories()
    for guard in GUARDS:
        found = find(guard, known.get(guard.name, []))
        missed += found is None
        print(f"{guard.name}\t{found or ''}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
