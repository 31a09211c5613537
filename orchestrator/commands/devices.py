"""Devices: what there is, and the operator's three verbs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.commands.connection import EXIT_CODES, USE, ApiKey, AsJson, Url, connected
from orchestrator.commands.display import ago, print_json, print_table
from orchestrator.commands.display import status as shown_status
from schemas.words import DrainWhen

if TYPE_CHECKING:
    from holdfast import Device

DeviceName = Annotated[str, typer.Argument(metavar="DEVICE", help="The device's name.")]
Reason = Annotated[str, typer.Option(help="Shown to the users whose batches wait for it.")]
When = Annotated[DrainWhen, typer.Option(help="When it goes out of service.")]


def register(app: typer.Typer) -> None:
    app.command("devices", rich_help_panel=USE, epilog=EXIT_CODES)(list_devices)
    for verb in (pause, drain, resume, retire):
        app.command(rich_help_panel=USE, epilog=EXIT_CODES)(verb)


def list_devices(as_json: AsJson = False, url: Url = None, api_key: ApiKey = None) -> None:
    """List the devices: status, the batch that holds each, and how many wait for its type.

    Example: holdfast devices
    """
    with connected(url, api_key) as client:
        devices = client.devices()
    if as_json:
        return print_json([device.to_dict() for device in devices])
    return _print_devices(devices)


def pause(
    device: DeviceName,
    reason: Reason,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Take a device out of service. Needs a key with the scope `operate`.

    Example: holdfast pause emu-a --reason "laser maintenance until noon"
    """
    with connected(url, api_key) as client:
        _print_device(client.pause_device(device, reason), as_json)


def drain(
    device: DeviceName,
    reason: Reason,
    when: When = DrainWhen.AFTER_BATCH,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Take a device out of service once the batch that it has is over, or sooner.

    With `--when now` the running job is stopped; it does not count as failed, and runs again.

    Example: holdfast drain emu-a --reason "upgrade tonight"
    """
    with connected(url, api_key) as client:
        _print_device(client.drain_device(device, reason, when), as_json)


def retire(device: DeviceName, reason: Reason, url: Url = None, api_key: ApiKey = None) -> None:
    """Take a device out for good. Its batch is in ERROR, and can be revived elsewhere.

    Example: holdfast retire emu-a --reason "sold"
    """
    with connected(url, api_key) as client:
        client.retire_device(device, reason)
        typer.echo(f"{device} is retired")


def resume(
    device: DeviceName, as_json: AsJson = False, url: Url = None, api_key: ApiKey = None
) -> None:
    """Put a paused or draining device back into service.

    Example: holdfast resume emu-a
    """
    with connected(url, api_key) as client:
        _print_device(client.resume_device(device), as_json)


def _print_device(device: Device, as_json: bool) -> None:
    return print_json(device.to_dict()) if as_json else _print_devices([device])


def _print_devices(devices: Iterable[Device]) -> None:
    rows = [
        (
            device.name,
            device.type,
            shown_status(device.status),
            device.batch_id or ("another project's" if device.occupied else "free"),
            device.queue_length,
            device.executor,
            ago(device.heard_at),
            device.reason,
        )
        for device in devices
    ]
    columns = ("NAME", "TYPE", "STATUS", "BATCH", "WAITING", "EXECUTOR", "HEARD", "REASON")
    print_table(
        columns, rows, "no devices: start one with `holdfast worker --device NAME --type T`"
    )
