"""The checker's own process: `python -P -m orchestrator.physics.checker --fd N --parent PID`.

One JSON line a question, one a answer. It ends when its parent does, and by itself when nobody
has asked for a while.
"""

import argparse
import ctypes
import importlib
import json
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

from orchestrator.physics.question import Answer, Question, blamed

_PR_SET_PDEATHSIG: Final = 1
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> int:
    options = _options()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != options.parent:
        return 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Before numpy loads: threads reserve address space, which is bounded here.
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    with socket.socket(fileno=options.fd) as sock:
        try:
            rules = importlib.import_module("orchestrator.physics.rules")
        except ImportError as error:
            _say(sock, {"absent": str(error)})
            return 0
        _bound_memory(options.memory_mb)
        _say(sock, {"absent": None})
        _serve(sock, rules, options)
    return 0


def _serve(sock: socket.socket, rules: Any, options: argparse.Namespace) -> None:
    sock.settimeout(options.idle_s)
    lines = sock.makefile("rb")
    while line := _next(lines):
        question: Question = json.loads(line)
        try:
            answer: Answer = rules.answer(question)
        except MemoryError:
            # What it took is not given back: the next question gets a new process.
            flaw = (blamed(question), f"needs more than {options.memory_mb} MiB to be checked")
            _say(sock, {"flaws": [flaw], "unchecked": 0})
            return
        _say(sock, answer)


def _next(lines: Any) -> bytes:
    """Empty when the parent is gone, or has asked nothing for `idle_s`."""
    try:
        line: bytes = lines.readline()
    except (TimeoutError, ConnectionError):
        return b""
    return line


def _say(sock: socket.socket, answer: Any) -> None:
    sock.sendall(json.dumps(answer).encode() + b"\n")


def _bound_memory(more_mb: int) -> None:
    if sys.platform != "linux":
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--idle-s", type=float, required=True)
    parser.add_argument("--memory-mb", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
