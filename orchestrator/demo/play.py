"""The demo itself, played through the client against a running server."""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator.demo.loop import Trial, best, minimise
from orchestrator.demo.problem import BOUNDS, Variables, build_sequence, ground_state, to_variables
from orchestrator.demo.report import Report
from orchestrator.demo.story import Lane, Span, Story

if TYPE_CHECKING:
    from holdfast import Batch, Client

DEVICE_TYPE: Final = "EMU_FREE"
RUNS: Final = 300
WAIT_S: Final = 120.0
SCAN: Final = 8
"""Jobs of the second batch: straight sweeps of growing amplitude."""


class DemoFailed(Exception):
    """Said to the user as it is."""


class OpenBatch:
    """Evaluates by appending jobs to a batch that keeps its device meanwhile."""

    def __init__(self, batch: "Batch") -> None:
        self._batch = batch

    def evaluate(self, variables: list[Variables]) -> list[Mapping[str, int]]:
        jobs = self._batch.add_jobs([{"runs": RUNS, "variables": each} for each in variables])
        self._batch.wait_jobs(jobs, timeout=WAIT_S)
        return [job.result(timeout=WAIT_S)["counter"] for job in jobs]


def run(base_url: str, api_key: str, out: Path, *, report: Report | None = None) -> int:
    """0 if no two jobs shared the device, 1 if some did. `out` gets the picture. Raises
    DemoFailed, or an error of the client."""
    from holdfast import Client

    report = report or Report()
    with Client(base_url, api_key=api_key) as client:
        story = play(client, report)
    report.result(story)
    from orchestrator.demo.picture import draw

    report.saved(draw(story, out / "demo.png"))
    return 0 if story.was_exclusive() else 1


def play(client: "Client", report: Report) -> Story:
    exact, _ = ground_state()
    sequence = build_sequence()
    submit = partial(client.create_batch, DEVICE_TYPE, sequence=sequence, tags=["demo"])
    first = submit(open=True, name="variational loop")
    try:
        second = submit(jobs=scan(), name="scan")
        report.opening(exact)

        def on_round(trials: list[Trial]) -> None:
            report.round(trials, exact, second.refresh().status, second.queue_position)

        with report.working("the loop runs on the open batch"):
            backend = OpenBatch(first)
            trials = minimise(backend, on_round=on_round)
            (confirmed,) = backend.evaluate([to_variables(best(trials).point)])
        with report.working("the loop has closed its batch: now the second one has the device"):
            first.close().wait(timeout=WAIT_S)
            second.wait(timeout=WAIT_S)
    except BaseException:
        # An open batch that nobody feeds would hold the device until it times out.
        with suppress(Exception):
            first.cancel()
        raise
    return Story(
        exact=exact, trials=trials, confirmed=confirmed, first=lane(first), second=lane(second)
    )


def scan() -> list[dict[str, Any]]:
    low, high = BOUNDS["omega_max"]
    sweep = {"delta_start": -12.0, "delta_middle": 0.0, "delta_end": 12.0}
    amplitudes = [low + (high - low) * i / (SCAN - 1) for i in range(SCAN)]
    points = [{**sweep, "omega_max": amplitude} for amplitude in amplitudes]
    return [{"runs": RUNS, "variables": to_variables(point)} for point in points]


def lane(batch: "Batch") -> Lane:
    """Raises DemoFailed unless every job of the batch is done."""
    if batch.status != "DONE" or batch.jobs_done < batch.jobs_total:
        done = f"{batch.jobs_done} of {batch.jobs_total} jobs done"
        raise DemoFailed(f"batch {batch.name!r} ended as {batch.status}, {done}: {batch.reason}")
    spans = [
        Span(began=job.started_at, ended=job.ended_at)
        for job in batch.jobs()
        if job.started_at and job.ended_at
    ]
    return Lane(
        name=batch.name or batch.id,
        status=batch.status,
        created=batch.created_at,
        spans=sorted(spans, key=lambda span: span.began),
    )
