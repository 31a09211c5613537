"""What a stack costs that has nothing to do: `holdfast dev` with one device, as users start it."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from orchestrator.embedded.process import ended_within, kill_group, poll_until, spawn
from tests.bench.contender import Unmeasured
from tests.bench.machine import PROC, TICKS_A_SECOND, descendants, ticks_of
from tests.bench.plan import Plan, Step
from tests.bench.reading import Reading, at_most

HOLDFAST = Path(sys.executable).with_name("holdfast")
READY_S = 90.0
CALM_S = 5.0
MOST_MIB, MOST_CPU = 600.0, 2.0


@dataclass(frozen=True, slots=True)
class Process:
    """`pss_mib`: its memory, with what it shares counted in parts. `cpu`: percent of one core."""

    name: str
    pss_mib: float
    cpu: float


def idle(console: Console, plan: Plan, step: Step) -> list[Reading]:
    if not (PROC / "self" / "smaps_rollup").exists():
        raise Unmeasured("this system does not tell the memory that processes share")
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder,
        _stack(Path(folder)) as pid,
    ):
        time.sleep(CALM_S)
        step()
        found = _processes(pid, plan.idle_s)
        step()
    _show(console, found)
    return [
        Reading(
            metric="memory of an idle `holdfast dev`, one device (PSS)",
            unit="MiB",
            ours=[sum(process.pss_mib for process in found)],
            aim=at_most(MOST_MIB),
        ),
        Reading(
            metric="its share of one core",
            unit="%",
            ours=[sum(process.cpu for process in found)],
            aim=at_most(MOST_CPU),
        ),
    ]


@contextmanager
def _stack(folder: Path) -> Generator[int]:
    ready, log = folder / "ready.json", folder / "dev.log"
    words = ["dev", "--port", "0", "--data-dir", str(folder / "data"), "--ready-file", str(ready)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    stack = spawn([HOLDFAST, *words], log=log, death_signal=signal.SIGTERM, env=env)
    try:
        if not poll_until(lambda: ready.exists() or stack.poll() is not None, READY_S):
            raise Unmeasured(f"`holdfast dev` was not ready within {READY_S:g} s")
        if not ready.exists():
            raise Unmeasured(f"`holdfast dev` ended: {log.read_text(errors='replace')[-500:]}")
        yield stack.pid
    finally:
        stack.terminate()
        if not ended_within(stack, 40):
            kill_group(stack)


def _processes(root: int, seconds: float) -> list[Process]:
    pids = [root, *descendants(root)]
    before = {pid: ticks_of(pid, reaped=False) for pid in pids}
    time.sleep(seconds)
    used = {pid: ticks_of(pid, reaped=False) - before[pid] for pid in pids}
    return [
        Process(_name(pid), _pss_mib(pid), 100 * used[pid] / TICKS_A_SECOND / seconds)
        for pid in pids
        if (PROC / str(pid)).exists()
    ]


def _pss_mib(pid: int) -> float:
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise Unmeasured(f"no memory figure for process {pid}")


def _name(pid: int) -> str:
    words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    if "workers.executors.host" in words:
        return "executor"
    if any(word.endswith("watchdog.py") for word in words):
        return "leash"
    for part in ("api", "control", "beat", "flower", "worker", "dev"):
        if part in words:
            return part
    return Path(words[0].split(" ")[0]).name.rstrip(":") or "?"


def _show(console: Console, found: list[Process]) -> None:
    table = Table(title="An idle stack, process by process", title_justify="left")
    for column in ("process", "PSS MiB", "CPU % of a core"):
        table.add_column(column, justify="left" if column == "process" else "right")
    by_name: dict[str, list[Process]] = {}
    for process in found:
        by_name.setdefault(process.name, []).append(process)
    for name, same in by_name.items():
        title = f"{name} ({len(same)} processes)" if len(same) > 1 else name
        pss, cpu = sum(p.pss_mib for p in same), sum(p.cpu for p in same)
        table.add_row(title, f"{pss:.1f}", f"{cpu:.2f}")
    console.print(table)
