"""What pytest-celery takes for a container: a process of this machine and its log."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.waiting import until


class PlainProcess:
    """Has the part of a container's interface that nodes use; the names are the container's."""

    attrs: Mapping[str, Any] = {"NetworkSettings": {"Networks": {}, "Ports": {}}}

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.id = self.name = name
        self._command = command
        self._folder = folder
        self._env = {**_outside(), **(env or {})}
        self._log = folder / f"{name}.log"
        self._before = 0
        self._process = self._start()

    @property
    def status(self) -> str:
        return "running" if self._process.poll() is None else "exited"

    def logs(self) -> bytes:
        return self._log.read_bytes()

    def await_log(self, words: str) -> None:
        """Waits until this start, not a former one, has logged the words."""
        until(lambda: self.status == "exited" or words in self._said(), 30)
        assert words in self._said(), f"{self.name} left: {self._said()}"

    def reload(self) -> None:
        """A process needs no look at an engine."""

    def kill(self, number: str | int | None = None) -> None:
        """Only sends the signal, but SIGKILL has done its work on return."""
        sent = signal.Signals[number] if isinstance(number, str) else number or signal.SIGKILL
        self._process.send_signal(sent)
        if sent == signal.SIGKILL:
            self._process.wait(10)

    def stop(self, timeout: float = 10) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self, timeout: float = 10) -> None:
        self.stop(timeout)
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            self._before = log.tell()
            return subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _said(self) -> str:
        return self.logs()[self._before :].decode()


def _outside() -> dict[str, str]:
    """The environment, without settings of a Holdfast that whoever runs the tests may have."""
    return {name: text for name, text in os.environ.items() if not name.startswith("HOLDFAST_")}
