"""What `holdfast dev` was asked for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from workers.executors import options as executor_options
from workers.executors import registry

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
EXECUTOR: Final = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
DEFAULT_DEVICE: Final = "emu-a:EMU_FREE:pulser"
DEFAULT_PORT: Final = 8000


class DevError(Exception):
    """Said to the user as it is."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """`options`: of the executor, `NAME=VALUE,NAME=VALUE`."""

    name: str
    type: str
    executor: str
    options: str = ""

    def __str__(self) -> str:
        words = (self.name, self.type, self.executor, self.options)
        return ":".join(word for word in words if word)


@dataclass(frozen=True, kw_only=True)
class DevOptions:
    """`port` None: 8000, or any free one if that is taken. 0: any free one."""

    devices: tuple[Device, ...] = ()
    port: int | None = None
    data_dir: Path = Path(".holdfast")
    idle_timeout_s: float | None = None
    ready_file: Path | None = None
    flower: bool = True
    ephemeral: bool = False
    verbose: bool = False
    ready_within_s: float = 90
    env: Mapping[str, str] = field(default_factory=dict)


def parse_devices(texts: Sequence[str]) -> tuple[Device, ...]:
    """None given means the default one. Raises DevError with every mistake."""
    devices, problems = [], []
    for text in texts or [DEFAULT_DEVICE]:
        try:
            devices.append(parse_device(text))
        except DevError as error:
            problems.append(str(error))
    names = [device.name for device in devices]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems += [f"--device {name}: the name is given twice" for name in twice]
    if problems:
        raise DevError("\n".join(problems))
    return tuple(devices)


def parse_device(text: str) -> Device:
    words = text.split(":", 3)
    if len(words) < 2:
        raise DevError(f"--device {text}: expected NAME:TYPE or NAME:TYPE:EXECUTOR")
    name, kind, *rest = words
    executor = rest[0] if rest else _default_executor(text, kind)
    _check(text, "NAME", name, NAME, "small letters, digits, '-', '_' and '.'")
    _check(text, "TYPE", kind, TYPE, "letters, digits, '-' and '_'")
    _check(text, "EXECUTOR", executor, EXECUTOR, "small letters, digits, '-', '_' and '.'")
    options = rest[1] if len(rest) == 2 else ""
    try:
        registry.find(executor)
        executor_options.read(executor, [], {executor_options.VARIABLE: options})
    except (registry.UnknownExecutor, executor_options.BadOptions) as error:
        raise DevError(f"--device {text}: {error}") from None
    return Device(name=name, type=kind, executor=executor, options=options)


def _default_executor(text: str, kind: str) -> str:
    if kind in ("EMU_SV", "EMU_MPS"):
        return kind.lower()
    if kind.startswith("EMU_"):
        return "pulser"
    raise DevError(f"--device {text}: name its executor, since only EMU_* types have a default")


def _check(text: str, part: str, word: str, pattern: re.Pattern[str], letters: str) -> None:
    if not pattern.fullmatch(word):
        raise DevError(f"--device {text}: {part} {word!r} must be 1 to 63 {letters}")
