"""A device that does as the payload says: for tests, demonstrations and benchmarks."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from workers.executors.base import CHECKPOINT, JobFailed, Work

Canceled = Callable[[], bool]


class ScriptedExecutor:
    """Payload: `{"do": WORD, ...}`; see the methods for the words and what each takes.

    With `log`, one line for each begin and end is appended to that file:
    `<job> <run> began|ended <monotonic seconds>`; evidence of what the device itself saw.
    """

    fresh_process: ClassVar[bool] = False

    def __init__(self) -> None:
        self._leaked: list[bytearray] = []

    def run(self, work: Work, *, canceled: Canceled) -> dict[str, Any]:
        deed = self._deed(str(work.payload.get("do", "echo")))
        path = work.payload.get("log")
        if path is None:
            return deed(work, canceled)
        _note(path, work, "began")
        try:
            return deed(work, canceled)
        finally:
            _note(path, work, "ended")

    def _deed(self, word: str) -> Callable[[Work, Canceled], dict[str, Any]]:
        deeds = {
            "echo": self._echo,
            "noop": self._noop,
            "sleep": self._sleep,
            "count": self._count,
            "fail": self._fail,
            "raise": self._raise,
            "crash": self._crash,
            "segfault": self._segfault,
            "leak": self._leak,
            "ignore-signals": self._ignore_signals,
            "big": self._big,
            "nan": self._nan,
            "nest": self._nest,
            "spawn": self._spawn,
        }
        if word not in deeds:
            raise JobFailed(f"the script knows no {word!r}; it knows {', '.join(deeds)}")
        return deeds[word]

    def _echo(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        """`runs`: also gives a counter with all of them on `0`."""
        runs = work.payload.get("runs", work.shared.get("runs"))
        counter = {} if runs is None else {"counter": {"0": int(runs)}}
        return {"echo": dict(work.payload), **counter}

    def _noop(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        return {}

    def _sleep(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        """`s`: seconds; ends early when canceled."""
        end = time.monotonic() + float(work.payload.get("s", 1.0))
        while (left := end - time.monotonic()) > 0 and not canceled():
            time.sleep(min(left, 0.02))
        return self._echo(work, canceled)

    def _count(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        """`to` steps of `s` seconds each, going on from the last checkpoint."""
        path, first = Path(os.environ.get(CHECKPOINT, os.devnull)), 0
        if path.is_file():
            first = int(path.read_text())
        for step in range(first, int(work.payload.get("to", 3))):
            time.sleep(float(work.payload.get("s", 0.1)))
            if path != Path(os.devnull):
                draft = path.with_suffix(".draft")
                draft.write_text(str(step + 1))
                draft.replace(path)
        return {"first": first}

    def _ignore_signals(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        """`s`: seconds, come what may."""
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            time.sleep(float(work.payload.get("s", 60.0)))
        finally:
            signal.signal(signal.SIGTERM, before)
        return self._echo(work, canceled)

    def _fail(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        raise JobFailed(str(work.payload.get("reason", "the script says so")))

    def _raise(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        raise ZeroDivisionError(str(work.payload.get("reason", "the script says so")))

    def _crash(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        os._exit(int(work.payload.get("code", 3)))

    def _segfault(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        ctypes.string_at(0)
        return {}

    def _leak(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        """`mb`: mebibytes that stay taken after the job."""
        self._leaked.append(bytearray(os.urandom(1) * (int(work.payload.get("mb", 16)) * 2**20)))
        return {"pid": os.getpid()}

    def _big(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        """`bytes`: the size of the one string in the result."""
        return {"big": "x" * int(work.payload.get("bytes", 2**20))}

    def _nan(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        return {"energy": float("nan")}

    def _nest(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        """`levels`: lists in lists in the result."""
        nested: list[Any] = []
        for _ in range(int(work.payload.get("levels", 10))):
            nested = [nested]
        return {"nested": nested}

    def _spawn(self, work: Work, canceled: Canceled) -> dict[str, Any]:
        """`s`: seconds that a process of the job's own sleeps; `wait`: the job does too."""
        seconds = float(work.payload.get("s", 60.0))
        program = f"import time; time.sleep({seconds})"
        grandchild = subprocess.Popen([sys.executable, "-S", "-c", program])
        pid_file = work.payload.get("pid_file")
        if pid_file:
            Path(pid_file).write_text(str(grandchild.pid))
        if work.payload.get("wait"):
            self._sleep(work, canceled)
        return {"pid": os.getpid(), "grandchild": grandchild.pid}


def _note(path: str, work: Work, what: str) -> None:
    line = f"{work.job} {work.run} {what} {time.monotonic():.6f}\n"
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(log, line.encode())
    finally:
        os.close(log)


def history(path: str | os.PathLike[str]) -> list[Mapping[str, Any]]:
    """The lines of a `log`, in order: job, run, what, at."""
    lines: list[Mapping[str, Any]] = []
    with Path(path).open() as log:
        for line in log:
            job, run, what, at = line.split()
            lines.append({"job": job, "run": int(run), "what": what, "at": float(at)})
    return lines
