"""A user's own machine, put to work for its project. Needs the worker extra, and no client."""

from __future__ import annotations

import os
import time
from typing import Annotated, Any, NoReturn

import typer

from orchestrator.commands.connection import USE, AsJson, fail
from orchestrator.commands.display import duration, print_json, print_table, status

CODES = (
    "Exit codes: 0 ok, 1 refused or broken, 2 wrong settings, "
    "4 another process has its name, 5 server unreachable (register only)."
)
Name = Annotated[str, typer.Argument(help="Its name in the project: a-z, 0-9 and -.")]
Url = Annotated[
    str | None, typer.Option(envvar="HOLDFAST_URL", show_default=False, help="The server's.")
]
RunnerKey = Annotated[
    str | None,
    typer.Option(
        envvar="HOLDFAST_RUNNER_KEY",
        show_default=False,
        help="rn_...; better in the environment, where other users cannot see it.",
    ),
]
Cores = Annotated[int | None, typer.Option(help="What all jobs share. Default: all there are.")]
Memory = Annotated[int | None, typer.Option(help="What all jobs share. Default: all there is.")]
Lanes = Annotated[int | None, typer.Option(help="Jobs at the same time. Default: one a core.")]
Slots = Annotated[
    list[str] | None,
    typer.Option(help="TYPE=N: at most so many waiting and running jobs of a type."),
]
Executor = Annotated[str | None, typer.Option(help="How jobs are run. Default: xtb.")]
Option = Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the executor.")]
LogLevel = Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")]


def register(app: typer.Typer) -> None:
    controller = typer.Typer(
        no_args_is_help=True, help="Compute on a machine of your own, by outbound HTTPS alone."
    )
    controller.command("register", epilog=CODES)(register_controller)
    controller.command(epilog=CODES)(run)
    controller.command("status", epilog=CODES)(show_status)
    controller.command(epilog=CODES)(drain)
    app.add_typer(controller, name="controller", rich_help_panel=USE)


def register_controller(
    name: Annotated[str, typer.Option(help="Its name in the project: a-z, 0-9 and -.")],
    url: Url = None,
    runner_key: RunnerKey = None,
    cores: Cores = None,
    memory_mb: Memory = None,
    lanes: Lanes = None,
    slots: Slots = None,
    executor: Executor = None,
    option: Option = None,
) -> NoReturn:
    """Try the settings at the server once, and keep them in a file that only you can read.

    Example: HOLDFAST_RUNNER_KEY=rn_... holdfast controller register --name dgx --url https://...
    """
    from workers.controller.run import register as run_register

    given = _given(name, url, runner_key, cores, memory_mb, lanes, slots, executor, option)
    raise typer.Exit(run_register(given, os.environ))


def run(
    name: Name,
    url: Url = None,
    runner_key: RunnerKey = None,
    cores: Cores = None,
    memory_mb: Memory = None,
    lanes: Lanes = None,
    slots: Slots = None,
    executor: Executor = None,
    option: Option = None,
    takeover: Annotated[
        bool | None, typer.Option(help="Whether to replace one of this name that is online.")
    ] = None,
    stop_s: Annotated[
        float | None, typer.Option(help="What a running job gets after SIGTERM. Default: 10.")
    ] = None,
    idle_exit: Annotated[
        float | None, typer.Option(help="Leave after so many seconds without work.")
    ] = None,
    log_level: LogLevel = None,
) -> NoReturn:
    """Serve jobs until SIGTERM or Ctrl-C; SIGUSR1 drains first.

    Settings are those of `register`, and what is given here; in a container, here alone.

    Example: holdfast controller run dgx
    """
    from workers.controller.run import run as run_controller

    given = _given(name, url, runner_key, cores, memory_mb, lanes, slots, executor, option)
    given |= {"takeover": takeover, "stop_s": stop_s, "log_level": log_level}
    given |= {"idle_exit_s": idle_exit}
    raise typer.Exit(run_controller(given, os.environ))


def show_status(as_json: AsJson = False) -> None:
    """What the controllers of this machine do just now.

    Example: holdfast controller status
    """
    from workers.controller.run import status as read_status

    said = read_status(os.environ)
    if as_json:
        return print_json(said)
    now = time.time()
    rows = [
        (
            each["name"],
            status(str(each["state"]).upper()),
            f"{len(each['running'])}/{each['lanes']}",
            ", ".join(job["job_id"] for job in each["running"]),
            _left(each.get("lease_until"), now),
            f"{duration(now - each['at'])} ago",
            each["executor"],
            each["url"],
        )
        for each in said
    ]
    columns = ("NAME", "STATUS", "LANES", "JOBS", "LEASE", "SAID", "EXECUTOR", "SERVER")
    return print_table(columns, rows, "no controller has run here")


def drain(
    name: Name,
    wait: Annotated[float, typer.Option(help="Seconds to wait until it has left.")] = 0.0,
) -> NoReturn:
    """Let a controller of this machine finish what it runs, take nothing more, and leave.

    Example: holdfast controller drain dgx --wait 3600
    """
    from workers.controller.run import drain as run_drain

    raise typer.Exit(run_drain(name, os.environ, wait_s=wait))


def _given(
    name: str,
    url: str | None,
    runner_key: str | None,
    cores: int | None,
    memory_mb: int | None,
    lanes: int | None,
    slots: list[str] | None,
    executor: str | None,
    option: list[str] | None,
) -> dict[str, Any]:
    return {
        "name": name,
        "url": url,
        "runner_key": runner_key,
        "cores": cores,
        "memory_mb": memory_mb,
        "lanes": lanes,
        "slots": _slots(slots) if slots else None,
        "executor": executor,
        "options": option or None,
    }


def _slots(texts: list[str]) -> dict[str, int]:
    slots = {}
    for text in texts:
        name, equals, number = text.partition("=")
        if not (equals and name and number.isdecimal()):
            fail(f"--slots {text!r}: give TYPE=N, as in single_point_energy=5", 2)
        slots[name] = int(number)
    return slots


def _left(until: float | None, now: float) -> str:
    return "" if until is None else f"{max(0.0, until - now):.0f} s left"
