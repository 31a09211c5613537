"""What `holdfast controller` does, from settings to exit status."""

import inspect
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from schemas import logs
from workers.controller import report
from workers.controller.config import (
    RUNNER_KEY,
    BadConfig,
    Config,
    load,
    make,
    save,
    state_dir,
    state_dirs,
)
from workers.controller.link import Link, Refused, Unreachable
from workers.controller.process import Controller
from workers.controller.registration import register as register_at
from workers.executors import options as executor_options
from workers.executors import registry
from workers.executors.options import BadOptions
from workers.executors.process import ChildOptions
from workers.journal import Journal, JournalError, JournalInUse

REFUSED, USAGE, UNREACHABLE = 1, 2, 5
_LOCK_S: Final = 5.0


def register(given: Mapping[str, Any], env: Mapping[str, str]) -> int:
    """Tries the settings at the server, then keeps them."""
    folder = state_dir(env, str(given["name"]))
    try:
        config = make(given)
        _child(config, "", env)
    except (BadConfig, BadOptions, registry.UnknownExecutor) as error:
        return _complain(str(error), USAGE)
    link = Link(config.url, config.runner_key)
    try:
        # One that is online already is left alone.
        link.key = register_at(link, config, takeover=False).token
        link.post("/controllers/self/deregister")
    except Refused as refused:
        return _complain(f"the server refuses: {refused}", REFUSED)
    except Unreachable as error:
        return _complain(f"no answer from {config.url}: {error}", UNREACHABLE)
    finally:
        link.close()
    path = save(folder, config)
    print(f"registered {config.name}: {config.width} lanes, {config.cores} cores; kept in {path}")
    print(f"next: holdfast controller run {config.name}")
    return 0


def run(given: Mapping[str, Any], env: Mapping[str, str]) -> int:
    """Serves until it is told to leave. What is given goes before what the file says."""
    folder = state_dir(env, str(given["name"]))
    try:
        said = {k: v for k, v in given.items() if v is not None}
        config = make({**load(folder), **_log_format(env), **said})
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Jobs are not to find it in their own environment.
        os.environ.pop(RUNNER_KEY, None)
        logs.configure(
            "controller",
            format=config.log_format,
            level=config.log_level,
            secrets=[config.runner_key],
        )
        logging.getLogger("httpx").setLevel(logging.WARNING)
        with _journal(folder / "journal", config.name) as journal:
            return Controller(config, folder, journal, _child(config, journal.id, env)).serve()
    except (BadConfig, BadOptions, registry.UnknownExecutor, JournalError, OSError) as error:
        return _complain(str(error), USAGE)
    except JournalInUse:
        return _complain(f"{given['name']} runs on this machine already ({folder})", REFUSED)


def drain(name: str, env: Mapping[str, str], *, wait_s: float) -> int:
    """Asks the process on this machine to end its work and leave."""
    folder = next(filter(report.is_running, state_dirs(env, name)), None)
    said = None if folder is None else report.read(folder)
    if folder is None or said is None:
        return _complain(f"{name} does not run on this machine", REFUSED)
    try:
        os.kill(int(said["pid"]), signal.SIGUSR1)
    except OSError as error:
        return _complain(f"{name}: {error}", REFUSED)
    print(f"{name} is draining: {len(said['running'])} jobs run, nothing more begins")
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if not report.is_running(folder):
            print(f"{name} has left")
            return 0
        time.sleep(0.2)
    return 0 if not wait_s else _complain(f"{name} still runs after {wait_s:g} s", REFUSED)


def status(env: Mapping[str, str]) -> list[dict[str, Any]]:
    """What each controller of this machine last said of itself."""
    return [said for folder in state_dirs(env) if (said := report.read(folder))]


def _log_format(env: Mapping[str, str]) -> dict[str, str]:
    """As for every other part: it belongs to where this runs, not to the controller."""
    said = env.get("HOLDFAST_LOG_FORMAT")
    return {"log_format": said} if said else {}


def _child(config: Config, mark: str, env: Mapping[str, str]) -> ChildOptions:
    """Raises `BadOptions` or `UnknownExecutor`."""
    texts = list(config.options)
    offered = inspect.signature(registry.load(config.executor)).parameters
    if "threads" in offered and not any(text.startswith("threads=") for text in texts):
        texts.append(f"threads={config.cores_each}")
    return ChildOptions(
        executor=config.executor,
        options=executor_options.read(config.executor, texts, env),
        mark=mark,
        max_result_bytes=config.max_result_bytes,
        kill_grace_s=config.kill_grace_s,
        log_level=config.log_level,
    )


def _journal(folder: Path, name: str) -> Journal:
    """A former process may still be on its way out, or somebody may just be looking."""
    deadline = time.monotonic() + _LOCK_S
    while True:
        try:
            return Journal(folder, device=name)
        except JournalInUse:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _complain(what: str, status: int) -> int:
    print(f"holdfast controller: {what}", file=sys.stderr)
    return status
