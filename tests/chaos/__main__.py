"""`python -m tests.chaos --seed N --minutes M`: exit status 0 if every promise was kept."""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table

from tests.chaos.trial import Verdict, run
from tests.options import at_least


def main() -> int:
    options = _options()
    console = Console(highlight=False, markup=False, soft_wrap=True)
    signal.signal(signal.SIGTERM, _interrupted)
    failed = 0
    for seed in range(options.seed, options.seed + options.seeds):
        folder = Path(tempfile.mkdtemp(prefix=f"holdfast-chaos-{seed}-"))
        folder.chmod(0o755)
        try:
            with console.status(f"seed {seed}"):
                verdict = run(
                    seed,
                    minutes=options.minutes,
                    jobs=options.jobs,
                    folder=folder,
                    tell=console.print,
                )
        except KeyboardInterrupt:
            console.print(f"interrupted; what there is lies in {folder}")
            return 130
        console.print(_table(verdict))
        if verdict.broken:
            failed += 1
            console.print(f"seed {seed} FAILED; logs, data and faults.log are in {folder}")
        elif not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    console.print(f"{options.seeds - failed} of {options.seeds} seeds kept every promise")
    return 1 if failed else 0


def _table(verdict: Verdict) -> Table:
    table = Table(title=f"seed {verdict.seed}", title_justify="left")
    table.add_column("what")
    table.add_column("how many", justify="right")
    for word, n in verdict.counts.items():
        table.add_row(word, f"{n:,}")
    table.add_section()
    for word, n in sorted(verdict.faults.items()):
        table.add_row(word, f"{n:,}")
    table.add_section()
    table.add_row("faults", f"{verdict.faults.total():,}")
    table.add_row("processes that ended by themselves", f"{len(verdict.exits):,}")
    table.add_row("seconds to drain", f"{verdict.drained_s:.1f}")
    table.add_row("broken promises", f"{len(verdict.broken):,}")
    return table


def _interrupted(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument(
        "--seeds", type=at_least(1), default=1, help="how many, one after the other"
    )
    parser.add_argument("--minutes", type=float, default=3.0, help="of faults, for each seed")
    parser.add_argument("--jobs", type=int, default=10_000, help="about how many, for each seed")
    parser.add_argument("--keep", action="store_true", help="the folders of good seeds, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
