"""The `holdfast` command. Each part imports what it needs when it runs: a compute node has no
database driver, and a user's laptop neither broker nor database."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from orchestrator.commands import register_all
from orchestrator.config import BadSettings, Settings
from schemas import failpoint

if TYPE_CHECKING:
    from orchestrator.store.catalog import DeviceType

app = typer.Typer(
    name="holdfast",
    help="Batches of jobs on exclusive devices. Start with `holdfast dev`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
register_all(app)

Port = Annotated[int, typer.Option(help="Port to listen on.")]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
LogLevel = Annotated[str | None, typer.Option(help="Instead of HOLDFAST_LOG_LEVEL.")]
OPERATE = "Parts of a deployment"


def settings(log_level: str | None = None) -> Settings:
    """From the environment; every mistake is told at once, then exit code 2."""
    given = {} if log_level is None else {"HOLDFAST_LOG_LEVEL": log_level}
    try:
        return Settings.from_env({**os.environ, **given})
    except BadSettings as error:
        _refuse(error)


def _refuse(error: BadSettings) -> NoReturn:
    for problem in error.problems:
        typer.echo(problem, err=True)
    raise typer.Exit(2) from None


def _device_types(given: Settings) -> "list[DeviceType]":
    from orchestrator import device_types

    try:
        return device_types.load(given.devices_file)
    except BadSettings as error:
        _refuse(error)


@app.command(rich_help_panel=OPERATE)
def api(host: Host = "127.0.0.1", port: Port = 8000) -> NoReturn:
    """Serve the HTTP API.

    Example: HOLDFAST_DATABASE_URL=... HOLDFAST_BROKER_URL=... holdfast api --port 8000
    """
    from orchestrator.api.serve import serve

    raise typer.Exit(serve(settings(), host, port))


@app.command(rich_help_panel=OPERATE)
def control(log_level: LogLevel = None) -> NoReturn:
    """Serve the control queue: what workers and beat send. Several may run.

    Example: HOLDFAST_DATABASE_URL=... HOLDFAST_BROKER_URL=... holdfast control
    """
    from orchestrator.control.app import control as run

    raise typer.Exit(run(settings(log_level)))


@app.command(rich_help_panel=OPERATE)
def beat(log_level: LogLevel = None) -> NoReturn:
    """Send the sweep every second. Any number of beats is harmless.

    Example: HOLDFAST_DATABASE_URL=... HOLDFAST_BROKER_URL=... holdfast beat
    """
    from orchestrator.control.beat import beat as run

    raise typer.Exit(run(settings(log_level)))


@app.command(rich_help_panel=OPERATE)
def flower(host: Host = "127.0.0.1", port: Port = 5555) -> NoReturn:
    """Serve Flower, which shows the device workers and what they run.

    Set FLOWER_BASIC_AUTH=user:password: its pages are open to whoever reaches them otherwise.

    Example: HOLDFAST_DATABASE_URL=... HOLDFAST_BROKER_URL=... FLOWER_BASIC_AUTH=ada:secret
    holdfast flower --port 5555
    """
    from orchestrator.control.beat import flower as run

    raise typer.Exit(run(settings(), host, port))


@app.command(rich_help_panel=OPERATE)
def migrate(
    to: Annotated[str, typer.Option(help="Revision to go to: head, base, or an id.")] = "head",
    down: Annotated[bool, typer.Option("--down", help="Go down to it instead of up.")] = False,
) -> None:
    """Bring the database's tables to this version. Safe to run twice, or at once from two nodes.

    Example: HOLDFAST_DATABASE_URL=... HOLDFAST_BROKER_URL=... holdfast migrate
    """
    from orchestrator import bootstrap
    from orchestrator.store import migrations

    given = settings()
    if down or to != "head":
        (migrations.downgrade if down else migrations.upgrade)(given.database_url, to)
    else:
        bootstrap.migrate(given.database_url, _device_types(given))
    typer.echo(f"database is at {to}")


@app.command(rich_help_panel=OPERATE)
def seed(
    project: Annotated[str, typer.Option(help="Made if it is not there yet.")] = "default",
    username: Annotated[str, typer.Option(help="Gets a new password if it exists.")] = "admin",
) -> None:
    """Migrate, make a project, a user and a key with every scope, and print them once as JSON.

    Run again for a user it gives them another password, in all their projects, and one more key.

    Example: HOLDFAST_DATABASE_URL=... HOLDFAST_BROKER_URL=... holdfast seed > credentials.json
    """
    import json
    from dataclasses import asdict

    from orchestrator import bootstrap

    given = settings()
    made = bootstrap.prepare(
        given.database_url, [], project=project, username=username, types=_device_types(given)
    )
    typer.echo(json.dumps(asdict(made), indent=2))


@app.command(rich_help_panel=OPERATE)
def worker(
    device: Annotated[str, typer.Option(help="The device's name; one active worker each.")],
    type: Annotated[str, typer.Option(help="The device type that users ask for.")],
    executor: Annotated[str, typer.Option(help="How jobs are run: pulser, ...")] = "pulser",
    option: Annotated[list[str], typer.Option(help="NAME=VALUE for the executor.")] = [],  # noqa: B006
) -> NoReturn:
    """Run jobs on one device. Needs a broker and an object store, never the database.

    Example: HOLDFAST_BROKER_URL=redis://... HOLDFAST_STORE_URL=... holdfast worker --device emu-a
    --type EMU_FREE
    """
    from workers.cli import run_worker

    status = run_worker(device=device, type=type, executor=executor, options=option, env=os.environ)
    raise typer.Exit(status)


@app.command(rich_help_panel=OPERATE)
def doctor() -> None:
    """Check settings, database, migrations, broker and object store; exit 1 if one fails.

    Example: HOLDFAST_DATABASE_URL=... HOLDFAST_BROKER_URL=... holdfast doctor
    """
    from orchestrator.doctor import Check, State, examine, show
    from workers.executors import xtb

    checks = examine(settings())
    if why := xtb.missing():
        checks.append(Check("xtb", State.WARN, why))
    raise typer.Exit(0 if show(checks) else 1)


@app.command(rich_help_panel=OPERATE)
def dev(
    port: Annotated[int | None, typer.Option(help="8000 if free; 0 takes any.")] = None,
    data_dir: Annotated[Path, typer.Option(help="Where data is kept.")] = Path(".holdfast"),
    device: Annotated[list[str], typer.Option(help="NAME:TYPE[:EXECUTOR[:OPTIONS]].")] = [],  # noqa: B006
    idle_timeout: Annotated[float | None, typer.Option(help="Seconds.")] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Written as JSON when ready; DATA_DIR/ready.json if kept.")
    ] = None,
    flower: Annotated[bool, typer.Option(help="Also start Flower.")] = True,
    ephemeral: Annotated[bool, typer.Option(help="Keep nothing after the end.")] = False,
    verbose: Annotated[bool, typer.Option(help="Show the parts' logs.")] = False,
) -> NoReturn:
    """The whole stack on this machine, until Ctrl-C.

    HOLDFAST_DATABASE_URL and HOLDFAST_BROKER_URL, where they are set, name servers to use instead
    of starting some.

    Example: holdfast dev --device emu-a:EMU_FREE --device qpu-b:FRESNEL:pulser --idle-timeout 12
    """
    from orchestrator.dev import DevError, DevOptions, parse_devices, run_dev

    try:
        options = DevOptions(
            devices=parse_devices(device),
            port=port,
            data_dir=data_dir,
            idle_timeout_s=idle_timeout,
            ready_file=ready_file or (None if ephemeral else data_dir / "ready.json"),
            flower=flower,
            ephemeral=ephemeral,
            verbose=verbose,
            env=os.environ,
        )
    except DevError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(run_dev(options))


@app.command(rich_help_panel=OPERATE)
def demo(
    out: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("demo-out"),
) -> NoReturn:
    """A variational loop on a real emulator through a real queue; everything cleaned up after.

    Example: holdfast demo --out pictures
    """
    from orchestrator.dev import run_demo

    raise typer.Exit(run_demo(out))


def main() -> NoReturn:
    try:
        failpoint.arm(os.environ)
    except failpoint.BadFailpoints as error:
        typer.echo(error, err=True)
        sys.exit(2)
    if armed := failpoint.armed():
        typer.echo(f"failpoints are armed, this process may fail: {', '.join(armed)}", err=True)
    sys.exit(app())


if __name__ == "__main__":
    main()
