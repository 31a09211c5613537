"""One seed: the stack comes up, is used and tormented, heals, drains and is examined."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from orchestrator.proof.report import Verdict as Word
from orchestrator.proof.verify import Patience, verify
from schemas.objects import S3
from tests.chaos.examine import broken_promises, left, wait_until_drained
from tests.chaos.faults import FAULTS, STEP_S
from tests.chaos.load import Load
from tests.chaos.nemesis import Nemesis
from tests.chaos.plant import Plant, answers, running_plant
from tests.waiting import until

BOUND_S: Final = 90.0
"""Within which everything that was accepted has ended, once nothing is broken any more."""


PATIENCE: Final = Patience(lag_s=0, skew_s=2 * STEP_S, patience_s=5)
"""All is over and shipped when we look; but clocks were stepped."""


@dataclass
class Verdict:
    seed: int
    folder: Path
    broken: list[str] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    counts: dict[str, int] = field(default_factory=dict)
    drained_s: float = 0.0


class Story:
    """The log of faults, with the seconds since the start: in a file, and to whoever listens."""

    def __init__(self, path: Path, tell: Callable[[str], object]) -> None:
        self._path = path
        self._tell = tell
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        line = f"{time.monotonic() - self._began:7.1f}  {text}"
        with self._path.open("a") as log:
            log.write(line + "\n")
        self._tell(line)


def run(
    seed: int, *, minutes: float, jobs: int, folder: Path, tell: Callable[[str], object] = print
) -> Verdict:
    """Raises only if the stack does not even come up."""
    verdict = Verdict(seed, folder)
    with running_plant(folder) as plant:
        say = Story(folder / "faults.log", tell)
        say(f"seed {seed}: {minutes:g} minutes, about {jobs} jobs, in {folder}")
        load = Load(plant, seed, jobs, minutes * 60)
        nemesis = Nemesis(plant, random.Random(seed), say, FAULTS)
        try:
            load.start()
            nemesis.torment(minutes * 60)
            nemesis.heal()
            healed = time.monotonic()
            until(lambda: all(map(answers, plant.urls)), BOUND_S)
            load.stop()
        finally:
            load.abandon()
        say(f"the load is over; left: {_words(left(plant))}")
        remains = wait_until_drained(plant, healed + BOUND_S)
        verdict.drained_s = time.monotonic() - healed
        say(f"{verdict.drained_s:.1f} s after the last fault; left: {_words(remains)}")
        if remains:
            verdict.broken.append(f"not drained within {BOUND_S:g} s: {_words(remains)}")
        verdict.broken += broken_promises(plant, load.ledger)
        verdict.broken += _violations(plant, say)
        verdict.exits, verdict.faults = nemesis.exits, nemesis.struck
        verdict.counts = _counts(plant, load)
        for text in verdict.broken:
            say(f"BROKEN: {text}")
    return verdict


def _violations(plant: Plant, say: Story) -> list[str]:
    """What `holdfast verify` finds, with nothing left in motion that it would have to pass over."""
    plant.ship_every_witness(BOUND_S)
    report = verify(
        plant.servers.database, plant.store_url, s3=S3(), patience=PATIENCE, read_objects=True
    )
    say(f"verified in {report.took_s:.1f} s: {_words(dict(report.counts))}")
    for line in report.lines:
        if line.verdict is Word.WARN:
            say(f"warning: {line.what}: {line.found} of {line.looked_at} {line.of}")
    return [f"invariant {v.invariant}: {v.what}: {v.row}" for v in report.violations]


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {word}" for word, n in counts.items()) or "nothing"


def _counts(plant: Plant, load: Load) -> dict[str, int]:
    ended = plant.sql(
        "SELECT 'batches ' || status, count(*) FROM batch GROUP BY 1"
        " UNION ALL SELECT 'jobs ' || status, count(*) FROM job GROUP BY 1 ORDER BY 1"
    )
    again = plant.sql("SELECT count(*) FROM job WHERE run > 1")[0][0]
    ledger = load.ledger
    return {
        **dict(ended),
        "jobs that were handed out more than once": again,
        "batches acknowledged": len(ledger.batches),
        "calls sent twice with one key": ledger.asked_twice,
        "cancels acknowledged": len(ledger.canceled_batches) + len(ledger.canceled_jobs),
    }
