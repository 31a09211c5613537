"""`python -m tests.bench`: ours beside its peers, in one run, on the same servers."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.bench import (
    calls,
    handover,
    idle,
    links,
    listings,
    live,
    machine,
    molecules,
    pasqal,
    portal,
    verify,
)
from tests.bench.ground import Ground, prepared
from tests.bench.plan import FULL, QUICK, Plan, Step
from tests.bench.reading import Reading
from tests.bench.table import show

Section = Callable[[Ground, Plan, Step], list[Reading]]
ENGINE: dict[str, tuple[Section, Callable[[Plan], int]]] = {
    "link": (links.link, lambda plan: plan.link_rounds + 1),
    "throughput": (links.throughput, lambda plan: 3 * plan.throughput_rounds + 1),
    "submit": (calls.submit, lambda plan: plan.submit_rounds + 1),
    "dispatch": (calls.dispatch, lambda plan: plan.dispatch_rounds),
    "device-time": (links.device_time, lambda plan: plan.long_rounds),
    "handover": (handover.handover, lambda plan: 3),
    "molecules": (molecules.molecules, lambda plan: plan.submit_rounds),
    "pasqal": (pasqal.pasqal, lambda plan: plan.client_rounds),
    "listings": (listings.listings, lambda plan: 4),
    "portal": (portal.portal, lambda plan: 2),
    "live": (live.live, lambda plan: plan.live_batches),
    "verify": (verify.verify, lambda plan: 2),
}
IDLE, IDLE_STEPS, SERVERS = "idle", 2, "servers"


class Bench:
    """Runs sections, and goes on when one of them cannot be measured."""

    def __init__(self, console: Console, plan: Plan, names: Sequence[str]) -> None:
        self.console = console
        self.plan = plan
        self.names = names
        self.readings: list[Reading] = []
        self.failed: list[str] = []
        self.loads: list[str] = []

    def run(self) -> None:
        steps = sum(ENGINE[name][1](self.plan) for name in self.names if name in ENGINE)
        steps += IDLE_STEPS if IDLE in self.names else 0
        columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self.console) as progress:
            bar = progress.add_task(SERVERS, total=steps)
            engine = [name for name in self.names if name in ENGINE]
            if engine:
                self._measure(SERVERS, partial(self._engine, engine, progress, bar))
            if IDLE in self.names:
                progress.update(bar, description=IDLE)
                step = partial(progress.advance, bar)
                self._measure(IDLE, lambda: idle.idle(self.console, self.plan, step))

    def _engine(self, names: Sequence[str], progress: Progress, bar: "int") -> list[Reading]:
        step = partial(progress.advance, bar)  # type: ignore[arg-type]
        with prepared() as ground:
            for name in names:
                progress.update(bar, description=name)  # type: ignore[arg-type]
                section = ENGINE[name][0]
                self._measure(name, partial(section, ground, self.plan, step))
        return []

    def _measure(self, name: str, section: Callable[[], list[Reading]]) -> None:
        load = machine.Load()
        try:
            self.readings += section()
        except Exception as error:
            self.failed.append(name)
            self.console.print(f"[red]{name} could not be measured:[/] {type(error).__name__}")
            self.console.print(str(error), markup=False)
        share = load.of_others()
        if share is not None and name != SERVERS:
            self.loads.append(f"{name} {share:.0%}")


def main() -> int:
    given = _arguments()
    console, since = Console(), time.monotonic()
    plan = QUICK if given.quick else FULL
    bench = Bench(console, plan, given.only or [*ENGINE, IDLE])
    console.print(machine.described(), style="dim", highlight=False)
    bench.run()
    show(console, "Holdfast beside its peers", bench.readings)
    busy = ", ".join(bench.loads) or "not known"
    took = time.monotonic() - since
    console.print(f"share of the machine used by others: {busy}; took {took:.0f} s", style="dim")
    return 1 if bench.failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, shorter queues")
    parser.add_argument(
        "--only", action="append", choices=[*ENGINE, IDLE], help="one section; repeatable"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
