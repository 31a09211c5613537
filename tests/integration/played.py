"""Batches that were run, with results of the test's own."""

from typing import Any

from tests.integration.puppet import Puppet, done, failed, new_batch


def ran(puppet: Puppet, *values: Any) -> tuple[str, list[str]]:
    """A batch whose jobs gave these; a text is why one failed."""
    batch = new_batch(puppet.core, len(values))
    given = iter(values)
    ids: list[str] = []
    while puppet.inbox:
        window = puppet.take()
        tasks = [(task, next(given)) for task in window.jobs if puppet.has_permit(task)]
        ids += [task.job for task, _ in tasks]
        ends = [failed(t, v) if isinstance(v, str) else done(t, v) for t, v in tasks]
        puppet.answer(window, *ends)
    return f"/batches/{batch}", ids
