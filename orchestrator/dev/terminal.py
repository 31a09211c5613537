"""What the user of `holdfast dev` sees. Written plainly: the supervisor stays light."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

COLORS: Final = (36, 32, 33, 35, 34, 96, 92, 93)


def say(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream or sys.stderr, flush=True)


def table(rows: Mapping[str, str]) -> str:
    """Two columns, the first in bold on a terminal."""
    width = max(map(len, rows))
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    return "\n".join(f"  {bold}{name:<{width}}{plain}  {text}" for name, text in rows.items())


@dataclass
class Follower:
    """Copies log files to the terminal as they grow, each line marked with its part's name."""

    offsets: dict[Path, int] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)

    def follow(self, logs: Mapping[str, Path]) -> None:
        for name, path in logs.items():
            color = self.known.setdefault(name, COLORS[len(self.known) % len(COLORS)])
            for line in self._new_lines(path):
                say(_marked(name, color, line))

    def _new_lines(self, path: Path) -> list[str]:
        if not path.exists():
            return []
        with path.open("rb") as log:
            log.seek(self.offsets.get(path, 0))
            # Up to the last whole line; the rest is read when it has its end.
            whole, newline, _ = log.read().rpartition(b"\n")
            self.offsets[path] = self.offsets.get(path, 0) + len(whole) + len(newline)
        return whole.decode(errors="replace").splitlines() if newline else []


def _marked(name: str, color: int, line: str) -> str:
    if sys.stderr.isatty():
        return f"\033[{color}m{name:<14}\033[0m {line}"
    return f"{name:<14} {line}"
