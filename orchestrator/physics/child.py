"""The checker's process as its parent sees it: started when first needed, replaced when it fails.

A sequence that nobody could check is let through, for the device says the same of each job. One
that took the checker too long, or took it down, is refused: it would do so to the device.
"""

import json
import logging
import os
import select
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.errors import Flaw
from orchestrator.physics.question import Answer, Question, blamed

logger = logging.getLogger(__name__)

AGAIN_S: Final = 5.0
_KNOWN: Final = frozenset(
    {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long one question waits for its turn, for the process to start, and for the answer:
    `wait_s`, `start_s` and `check_s` together stay below what an answer may take. `idle_s` is
    longer than an open batch waits by default, so that its jobs meet a warm checker. `memory_mb`
    comes on top of what Pulser itself takes."""

    start_s: float = 8.0
    give_up_s: float = 60.0
    wait_s: float = 3.0
    check_s: float = 12.0
    idle_s: float = 330.0
    memory_mb: int = 1024


class StillStarting(Exception):
    """It goes on doing so; a later question will find it ready."""


class Physics:
    """For any number of threads; one question at a time."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._turn = threading.Lock()
        # Linux kills a child when the *thread* that made it ends, so one thread makes them all.
        self._nursery = ThreadPoolExecutor(1, thread_name_prefix="physics")
        self._process: _Process | None = None
        self._absent = False

    @property
    def pid(self) -> int | None:
        """Of the running process; None while nobody has asked."""
        process = self._process
        return process.pid if process else None

    def check(self, question: Question) -> list[Flaw]:
        """Every flaw that Pulser finds; none when there is nobody to ask."""
        if self._absent:
            return []
        if not self._turn.acquire(timeout=self._limits.wait_s):
            logger.warning("the physics check is busy: this batch is left to its device")
            return []
        try:
            return self._check(question)
        finally:
            self._turn.release()

    def close(self) -> None:
        if process := self._process:
            process.destroy()
        self._nursery.shutdown(wait=False)

    def _check(self, question: Question) -> list[Flaw]:
        # A process may have ended by itself, being idle, just when it was asked. One that took a
        # while to die is not asked again: the answer is waited for.
        since = time.monotonic()
        for attempt in (1, 2):
            if not self._ready():
                return []
            try:
                return _flaws_in(self._ask(question))
            except TimeoutError:
                self._retire()
                why = f"takes more than {self._limits.check_s:g} s to be checked: make it shorter"
                return [Flaw(blamed(question), why)]
            except (OSError, EOFError, ValueError):
                self._retire()
                logger.warning("the physics check died of a question", exc_info=True)
                if attempt == 1 and time.monotonic() - since > AGAIN_S:
                    break
        return [Flaw(blamed(question), "cannot be checked: the checker dies of it")]

    def _ask(self, question: Question) -> Answer:
        assert self._process is not None
        answer: Answer = self._process.ask(question, self._limits.check_s)
        return answer

    def _ready(self) -> bool:
        try:
            if self._process is None:
                self._process = self._nursery.submit(_Process, self._limits).result()
            absent = self._process.absent(self._limits.start_s)
        except StillStarting:
            logger.warning("the physics check is still starting: this batch is left to its device")
            return False
        except (OSError, EOFError, ValueError) as error:
            self._retire()
            logger.warning("the physics check does not start (%r): left to the device", error)
            return False
        if absent is not None:
            self._retire()
            self._absent = True
            logger.warning("no physics check at submission, Pulser is not installed: %s", absent)
        return absent is None

    def _retire(self) -> None:
        if self._process is not None:
            self._process.destroy()
            self._process = None


class _Process:
    def __init__(self, limits: Limits) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._popen = subprocess.Popen(
                _command(limits, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=_environment(),
            )
        self._sock = ours
        self._lines = ours.makefile("rb")
        self._greeted = False
        self._since, self._give_up_s = time.monotonic(), limits.give_up_s
        self.pid = self._popen.pid

    def absent(self, timeout_s: float) -> str | None:
        """Why there is no Pulser; None if there is. Waits for the import."""
        if not self._greeted:
            # Not by a timeout of the read: a socket's file cannot be read any more after one.
            if not select.select([self._sock], [], [], timeout_s)[0]:
                if time.monotonic() - self._since > self._give_up_s:
                    raise EOFError
                raise StillStarting
            why: str | None = self._next(timeout_s)["absent"]
            self._greeted = why is None
            return why
        return None

    def ask(self, question: Question, timeout_s: float) -> Any:
        self._sock.settimeout(timeout_s)
        self._sock.sendall(json.dumps(question).encode() + b"\n")
        return self._next(timeout_s)

    def destroy(self) -> None:
        self._popen.kill()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(5)
        self._lines.close()
        self._sock.close()

    def _next(self, timeout_s: float) -> Any:
        self._sock.settimeout(timeout_s)
        line = self._lines.readline()
        if not line:
            raise EOFError
        return json.loads(line)


def _flaws_in(answer: Answer) -> list[Flaw]:
    if answer["unchecked"]:
        logger.info("%d jobs were left to the device: no time", answer["unchecked"])
    return [Flaw(field, message) for field, message in answer["flaws"]]


def _environment() -> dict[str, str]:
    """What it reads comes from strangers, so it is told none of our secrets."""
    names = [name for name in os.environ if name in _KNOWN or name.startswith(("LC_", "PYTHON"))]
    return {name: os.environ[name] for name in names}


def _command(limits: Limits, fd: int) -> list[str]:
    return [
        *(sys.executable, "-P", "-m", "orchestrator.physics.checker"),
        *("--fd", str(fd), "--parent", str(os.getpid())),
        *("--idle-s", str(limits.idle_s), "--memory-mb", str(limits.memory_mb)),
    ]
