"""The executor's side of the pipe: `python -P -m workers.executors.host`.

Imports neither Celery nor Redis: this process holds the job's memory and nothing else.
"""

import argparse
import ctypes
import json
import logging
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, Final

from schemas import logs
from workers.executors import frames
from workers.executors.base import Executor, JobFailed, Work
from workers.executors.frames import FrameReader, Kind
from workers.executors.registry import load

logger = logging.getLogger("workers.executors.host")

_PR_SET_PDEATHSIG: Final = 1
_LONGEST_REASON: Final = 4000


class Stop:
    """SIGTERM: asks the running job to end; ends the process when none runs."""

    def __init__(self) -> None:
        self.busy = False
        self.asked = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        if not self.busy:
            os._exit(0)
        self.asked = True

    def canceled(self) -> bool:
        return self.asked


def main() -> int:
    options = _options()
    _die_with(options.parent)
    stop = Stop()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A print in somebody's executor belongs in the log.
    os.dup2(sys.stderr.fileno(), 1)
    logs.configure("executor", format=options.log_format, level=options.log_level)
    sock = socket.socket(fileno=options.fd)
    try:
        executor = load(options.executor)(**json.loads(options.options))
    except Exception as error:
        logger.exception("executor %s could not start", options.executor)
        frames.send(sock, Kind.NO_START, _text(error).encode())
        return 1
    fresh = bool(getattr(executor, "fresh_process", False))
    frames.send(sock, Kind.UP, json.dumps({"fresh_process": fresh}).encode())
    _serve(sock, executor, stop, options)
    return 0


def _serve(
    sock: socket.socket, executor: Executor, stop: Stop, options: argparse.Namespace
) -> None:
    reader = FrameReader(sock)
    shared: dict[str, Any] = {}
    while True:
        try:
            frame = reader.receive(None)
        except EOFError:
            return
        assert frame is not None
        # The window between here and the job is too short for a kill that was meant for it.
        stop.asked, stop.busy = False, True
        task = json.loads(frame[1])
        shared = task.pop("shared", shared)
        about = task.pop("about", {})
        work = Work(shared=shared, **task)
        with logs.about(**about):
            ended, (kind, body) = _run(executor, work, stop, options.max_result_bytes)
        # Told before the answer, so that no job is handed to a process that is leaving.
        if retiring := _too_fat(options.max_rss_mb):
            frames.send(sock, Kind.RETIRING, b"")
        frames.send(sock, kind, frames.stamped(ended, body))
        if retiring:
            return
        stop.busy = False


def _run(executor: Executor, work: Work, stop: Stop, limit: int) -> tuple[float, frames.Frame]:
    """When the device was free of the job, and what to answer."""
    try:
        value = executor.run(work, canceled=stop.canceled)
    except JobFailed as failure:
        ended, reason = time.monotonic(), str(failure)[:_LONGEST_REASON]
    except BaseException as error:
        ended, reason = time.monotonic(), _text(error)
        logger.exception("job %s run %d raised", work.job, work.run)
    else:
        return time.monotonic(), _pack(value, limit)
    return ended, (Kind.RAISED, reason.encode("utf-8", "replace"))


def _pack(value: object, limit: int) -> frames.Frame:
    if not isinstance(value, dict):
        return Kind.RAISED, f"the result is no JSON object but a {type(value).__name__}".encode()
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        body = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        return Kind.RAISED, f"the result is not JSON: {error}"[:_LONGEST_REASON].encode(
            "utf-8", "replace"
        )
    if len(body) > limit:
        return Kind.RAISED, f"the result has {len(body)} bytes; {limit} are allowed".encode()
    return Kind.RETURNED, body


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_REASON]


def _too_fat(limit_mb: float) -> bool:
    if not limit_mb:
        return False
    if sys.platform == "linux":
        # The peak of getrusage starts at what the parent had when it made this process.
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() > limit_mb * 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > limit_mb * 2**20


def _die_with(parent: int) -> None:
    """Native code may hold the interpreter for minutes, so the kernel has to do it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--executor", required=True)
    parser.add_argument("--options", default="{}")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--max-result-bytes", type=int, required=True)
    parser.add_argument("--max-rss-mb", type=float, default=0.0)
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument("--log-format", default="text")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
