"""The user's and the operator's day on the command line, over the client library.

Nothing here imports the client until a command runs: a compute node does not have it.
"""

import typer

from orchestrator.commands import (
    batches,
    cache,
    certificate,
    controller,
    credits,
    devices,
    estimate,
    events,
    jobs,
    keys,
    members,
    results,
    submit,
    verify,
    watch,
    webhooks,
)


def register_all(app: typer.Typer) -> None:
    for module in (
        submit,
        watch,
        batches,
        cache,
        jobs,
        results,
        certificate,
        controller,
        credits,
        devices,
        estimate,
        events,
        keys,
        members,
        webhooks,
        verify,
    ):
        module.register(app)
