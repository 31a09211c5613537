"""Simulated histories: `make sim SEEDS=100000`, or `python -m tests.sim --seed 17` for one.

python -m tests.sim --seeds 1000000 --processes 2
python -m tests.sim --seed 17            plays one, tells all that happened, shrinks it if it fails
"""

import argparse
import gc
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.options import at_least
from tests.sim import history, script, telling

CHUNK = 500
MOST_FAILURES = 10
Failure = tuple[int, str]


def play(first: int, count: int) -> tuple[list[Failure], int, float]:
    """The seeds that fail, how many steps were played, and the seconds of this core."""
    history.listen()
    gc.disable()
    began = time.process_time()
    failures: list[Failure] = []
    steps = 0
    for seed in range(first, first + count):
        verdict, played = history.judge(script.write(seed))
        steps += played
        if verdict is not None:
            failures.append((seed, verdict))
    gc.enable()
    return failures, steps, time.process_time() - began


def chunks(first: int, seeds: int) -> Iterator[tuple[int, int]]:
    for start in range(first, first + seeds, CHUNK):
        yield start, min(CHUNK, first + seeds - start)


def many(first: int, seeds: int, processes: int) -> int:
    """Plays that many; the exit status."""
    failures: list[Failure] = []
    steps, cpu_s, began = 0, 0.0, time.monotonic()
    left = chunks(first, seeds)
    with _progress() as progress, ProcessPoolExecutor(processes) as pool:
        bar = progress.add_task("histories", total=seeds, failed="")
        running: dict[Future[tuple[list[Failure], int, float]], int] = {}
        while len(failures) < MOST_FAILURES:
            for start, count in islice(left, processes + 1 - len(running)):
                running[pool.submit(play, start, count)] = count
            if not running:
                break
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                failed, played, took = done.result()
                failures, steps, cpu_s = failures + failed, steps + played, cpu_s + took
                told = f"{len(failures)} failed" if failures else ""
                progress.update(bar, advance=running.pop(done), failed=told)
    _summary(seeds, steps, cpu_s, time.monotonic() - began)
    for seed, verdict in failures[:MOST_FAILURES]:
        print(f"seed {seed}: {verdict[:200]}", file=sys.stderr)
    if failures:
        print(f"see: python -m tests.sim --seed {failures[0][0]}", file=sys.stderr)
    return 1 if failures else 0


def _summary(seeds: int, steps: int, cpu_s: float, wall_s: float) -> None:
    print(
        f"{seeds:,} histories of {steps / seeds:.0f} steps in {wall_s:.0f} s:"
        f" {seeds / cpu_s:,.0f} histories and {steps / cpu_s:,.0f} steps per second of one core"
    )


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("[red]{task.fields[failed]}"),
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.sim",
        description="Plays histories of the whole plane: the real services and the real worker"
        " code on a simulated store, broker and clock. Exit status 1 when an invariant breaks.",
        epilog="Example: python -m tests.sim --seeds 100000",
    )
    parser.add_argument(
        "--seeds", type=at_least(1), default=20_000, help="how many histories (20000)"
    )
    parser.add_argument("--first", type=at_least(0), default=0, help="the first seed (0)")
    parser.add_argument("--processes", type=at_least(1), default=os.cpu_count() or 1)
    parser.add_argument(
        "--seed", type=at_least(0), help="only this one: tell it, and shrink it if it fails"
    )
    given = parser.parse_args()
    if given.seed is not None:
        return telling.tell(given.seed)
    return many(given.first, given.seeds, given.processes)


if __name__ == "__main__":
    sys.exit(main())
