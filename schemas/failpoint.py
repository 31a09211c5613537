"""Failpoints: places where a test may end, stop, delay or fail this process.

    HOLDFAST_FAILPOINTS="worker.began=kill@3;tx.committed=raise:0.01"

Off unless that is set. Each name takes `kill` (SIGKILL to itself), `stop` (SIGSTOP to itself),
`sleep(SECONDS)` or `raise`; then `@N`, on the N-th pass only, or `:P`, with probability P, drawn
from HOLDFAST_FAILPOINTS_SEED; or neither, on every pass.
"""

import random
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

VARIABLE: Final = "HOLDFAST_FAILPOINTS"
SEED: Final = "HOLDFAST_FAILPOINTS_SEED"

POINTS: Final = {
    "permits.granted": "the permits of a window are there, its transaction is not committed",
    "tx.committed": "a transaction is committed, nothing that follows from it has left;"
    " `raise` is a COMMIT whose answer is lost",
    "chain.published": "the message of a window has left",
    "worker.permitted": "the permit is taken, the journal does not know it yet",
    "worker.began": "the journal says began, the device has not begun",
    "worker.ended": "the device has ended, the journal does not know it yet",
    "worker.uploaded": "a large result is in the object store, nobody refers to it yet",
    "worker.finished": "the journal knows every end of a window, its settle has not left",
    "worker.settled": "the settle has left, its window is not acknowledged",
}

_SYNTAX: Final = re.compile(
    r"(?P<name>[\w.]+)=(?P<deed>kill|stop|raise|sleep\((?P<seconds>\d+(\.\d+)?)\))"
    r"(@(?P<nth>[1-9]\d*)|:(?P<chance>0?\.\d+|[01](\.0+)?))?"
)


class BadFailpoints(Exception):
    """The text says what is wrong, and which names there are."""


class Injected(Exception):
    """What `raise` raises: stands for a connection that broke just here."""


@dataclass
class _Armed:
    act: Callable[[], None]
    nth: int | None
    chance: float | None
    draw: random.Random
    passes: int = 0

    def reach(self) -> None:
        self.passes += 1
        if self.nth is not None and self.passes != self.nth:
            return
        if self.chance is None or self.draw.random() < self.chance:
            self.act()


_armed: dict[str, _Armed] = {}


def reach(name: str) -> None:
    """To be called at the place `name`, one of POINTS."""
    if _armed and (armed := _armed.get(name)):
        armed.reach()


def arm(env: Mapping[str, str]) -> None:
    """Once, at the start of a process. Raises `BadFailpoints`."""
    _armed.clear()
    for text in filter(None, map(str.strip, env.get(VARIABLE, "").split(";"))):
        match = _SYNTAX.fullmatch(text)
        if match is None or match["name"] not in POINTS:
            raise BadFailpoints(
                f"{VARIABLE}: {text!r} is not NAME=kill|stop|sleep(SECONDS)|raise, then @N or :P"
                f" or neither; the names are {', '.join(POINTS)}"
            )
        _armed[match["name"]] = _Armed(
            act=_deed(match["name"], match["deed"], match["seconds"]),
            nth=int(match["nth"]) if match["nth"] else None,
            chance=float(match["chance"]) if match["chance"] else None,
            draw=random.Random(f"{env.get(SEED, '')} {match['name']}"),
        )


def armed() -> list[str]:
    """Their names, for whoever starts a process to say."""
    return sorted(_armed)


def _deed(name: str, word: str, seconds: str | None) -> Callable[[], None]:
    def injected() -> None:
        raise Injected(f"failpoint {name}")

    if word == "raise":
        return injected
    if seconds is not None:
        return lambda: time.sleep(float(seconds))
    number = signal.SIGKILL if word == "kill" else signal.SIGSTOP
    # To this thread: one sent to the process may stop it a moment later, past this point.
    return lambda: signal.pthread_kill(threading.get_ident(), number)
