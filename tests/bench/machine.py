"""What the figures were taken on, and how much of it was somebody else's."""

import os
import platform
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def described() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB,"
        f" {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    cpuinfo = PROC / "cpuinfo"
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


class Load:
    """How much of the machine others used, from here on. Ours is all that this process started,
    and whatever of it has ended meanwhile."""

    def __init__(self) -> None:
        self._known = (PROC / "stat").exists()
        self._since = self._ticks() if self._known else (0, 0, 0)

    def of_others(self) -> float | None:
        """A share of all cores. None where the system does not tell."""
        if not self._known:
            return None
        total, busy, ours = (b - a for a, b in zip(self._since, self._ticks(), strict=True))
        return max(0.0, busy - ours) / max(1, total)

    def _ticks(self) -> tuple[int, int, int]:
        first = (PROC / "stat").read_text().split("\n", 1)[0]
        fields = [int(word) for word in first.split()[1:9]]
        pids = [os.getpid(), *descendants(os.getpid())]
        return sum(fields), sum(fields) - fields[3] - fields[4], sum(map(ticks_of, pids))


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for children in PROC.glob(f"{pid}/task/*/children"):
        with suppress(OSError):
            for child in map(int, children.read_text().split()):
                found += [child, *descendants(child)]
    return found


def ticks_of(pid: int, *, reaped: bool = True) -> int:
    """Processor time so far; with that of its own children that have ended."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15] if reaped else fields[11:13]))
