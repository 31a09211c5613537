"""`holdfast demo`: a stack of its own, the demo against it, and the stack is gone again."""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator.dev.crew import tail_of
from orchestrator.dev.terminal import say
from orchestrator.embedded.process import ended_within, kill_group, spawn

READY_S = 120.0
STOP_S = 40.0
DEMO_S = 900.0
PROGRESS_S = 5.0
STACK = ("dev", "--ephemeral", "--no-flower", "--port", "0", "--device", "emu-a:EMU_FREE:pulser")


def run_demo(
    out: Path = Path("demo-out"),
    holdfast: Sequence[str] = (sys.executable, "-m", "orchestrator.cli"),
    demo: Sequence[str] = (sys.executable, "-m", "orchestrator.demo"),
) -> int:
    """The demo's own status; 1 if the stack did not come up, 130 after Ctrl-C."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    ready, log = folder / "ready.json", folder / "dev.log"
    stack = spawn([*holdfast, *STACK, "--ready-file", ready], log=log, death_signal=signal.SIGTERM)
    try:
        if not _came_up(stack, ready):
            say(f"the stack did not come up:\n{tail_of(log, lines=40)}")
            return 1
        words = [*demo, "--ready-file", str(ready), "--out", str(out)]
        return subprocess.run(words, timeout=DEMO_S).returncode
    except KeyboardInterrupt:
        return 130
    except subprocess.TimeoutExpired:
        say(f"the demo took longer than {DEMO_S:g} s")
        return 1
    finally:
        _take_down(stack)
        with suppress(OSError):
            shutil.rmtree(folder)


def _came_up(stack: "subprocess.Popen[bytes]", ready: Path) -> bool:
    say("Starting Holdfast: Postgres, Valkey, API, control, beat and one emulator ...")
    began = time.monotonic()
    said = began
    while not ready.exists():
        now = time.monotonic()
        if stack.poll() is not None or now - began > READY_S:
            return False
        if now - said >= PROGRESS_S:
            say(f"  still starting ({now - began:.0f} s)")
            said = now
        time.sleep(0.1)
    say(f"Ready after {time.monotonic() - began:.1f} s.")
    return True


def _take_down(stack: "subprocess.Popen[bytes]") -> None:
    stack.terminate()
    if not ended_within(stack, STOP_S):
        kill_group(stack)
        ended_within(stack, STOP_S)
