"""Controllers as a user runs them: real processes, each with a folder of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from orchestrator.embedded.process import spawn
from tests.waiting import until
from workers.controller import report

HOLDFAST = Path(sys.executable).with_name("holdfast")
KEY = "rn_a-key-of-the-tests"


class Machine:
    """A user's machine, as far as its controllers can tell."""

    def __init__(self, folder: Path, url: str, key: str = KEY) -> None:
        self.folder = folder
        self.url = url
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_")}
        self.env = {**clean, "HOLDFAST_STATE_DIR": str(folder), "HOLDFAST_RUNNER_KEY": key}
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self, name: str, *words: str, **env: str) -> "subprocess.Popen[bytes]":
        options = ("--url", self.url, "--executor", "scripted", "--lanes", "1", *words)
        return self.start(name, *options, **env)

    def start(self, name: str, *options: str, **env: str) -> "subprocess.Popen[bytes]":
        self.folder.mkdir(parents=True, exist_ok=True)
        process = spawn(
            [HOLDFAST, "controller", "run", name, *options],
            log=self.folder / f"{name}.log",
            death_signal=signal.SIGKILL,
            env={**self.env, **env},
        )
        self.processes.append(process)
        return process

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [HOLDFAST, "controller", *words],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=30,
        )

    def said(self, name: str) -> dict[str, Any]:
        return report.read(self.folder / name) or {}

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(10)


@contextmanager
def machine(folder: Path, url: str, key: str = KEY) -> Iterator[Machine]:
    made = Machine(folder, url, key)
    try:
        yield made
    finally:
        made.close()


def left_behind(process: "subprocess.Popen[bytes]", family: list[psutil.Process]) -> None:
    """Fails unless the process and all that it started are gone."""
    process.wait(20)
    until(lambda: not any(_lives(each) for each in family), 10)


def family_of(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    return list(psutil.Process(process.pid).children(recursive=True))


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
