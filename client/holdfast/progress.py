"""A bar on a terminal; nothing where there is none, such as in a log."""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TextIO

Progress = Callable[[int, int], None] | bool | None
"""Called with how many are done, and of how many. None: a bar if standard error is a terminal;
True: a bar in any case; False: nothing."""

WIDTH: Final = 30


class Bar:
    """Rewrites one line; leaves it behind when it is over."""

    def __init__(self, wanted: Progress, what: str, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._tell = wanted if callable(wanted) else None
        self._drawn = wanted is True or (wanted is None and self._out.isatty())
        self._what = what
        self._last: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._drawn and self._last is not None:
            self._out.write("\n")

    def show(self, done: int, total: int) -> None:
        if (done, total) == self._last:
            return
        self._last = (done, total)
        if self._tell is not None:
            self._tell(done, total)
        if self._drawn:
            full = WIDTH * done // max(1, total)
            bar = "█" * full + "░" * (WIDTH - full)
            self._out.write(f"\r{self._what} {bar} {done:,}/{total:,}")
            self._out.flush()
