"""A hundred jobs through PASQAL's own client, against the emulator by itself."""

import time
from collections.abc import Mapping
from statistics import mean
from typing import Any

from pasqal_cloud.authentication import TokenProvider
from pasqal_cloud.endpoints import Endpoints
from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient

from tests.bench.ground import Ground, Span
from tests.bench.plan import Plan, Step
from tests.bench.reading import Reading, at_most
from tests.pasqal.programs import fixed
from workers.executors.base import Work
from workers.executors.pulser import PulserExecutor

ATOMS, DURATION_NS, RUNS = 10, 2400, 100
WARM_UP = 3


class Key(TokenProvider):
    def __init__(self, key: str) -> None:
        self._key = key

    def get_token(self) -> str:
        return self._key


def pasqal(ground: Ground, plan: Plan, step: Step) -> list[Reading]:
    sequence = fixed(ATOMS, duration=DURATION_NS).to_abstract_repr()
    worker = ground.stack.worker("emulator", device_type="EMU_FREE", executor="pulser")
    try:
        ground.stack.online("emulator", timeout_s=30)
        ours, added, alone = _rounds(ground, plan, step, sequence)
    finally:
        worker.stop()
    return [
        Reading(
            metric=f"device time added to {plan.client_jobs} jobs through the PASQAL client",
            unit="%",
            ours=added,
            aim=at_most(2.0),
        ),
        Reading(
            metric=f"a job of {plan.client_jobs} through the PASQAL client, on the device",
            unit="ms",
            ours=ours,
            peer=alone,
            against="the emulator alone",
            aim=at_most(1.02),
        ),
    ]


def _rounds(
    ground: Ground, plan: Plan, step: Step, sequence: str
) -> tuple[list[float], list[float], list[float]]:
    emulator = PulserExecutor()
    _alone(emulator, sequence, WARM_UP)
    _through(ground, sequence, WARM_UP)
    ours, added, alone = [], [], []
    for _ in range(plan.client_rounds):
        before = _alone(emulator, sequence, plan.client_jobs // 4)
        spans = _through(ground, sequence, plan.client_jobs)
        whole = spans[-1].ended - spans[0].began
        busy = sum(span.ended - span.began for span in spans)
        ours.append(1e3 * whole / len(spans))
        added.append(100 * (whole - busy) / busy)
        after = _alone(emulator, sequence, plan.client_jobs // 4)
        alone.append(mean((before, after)))
        step()
    return ours, added, alone


def _through(ground: Ground, sequence: str, jobs: int) -> list[Span]:
    """The jobs on the device, by the clock of its worker."""
    url = ground.stack.url
    cloud = PasqalCloudClient(
        token_provider=Key(ground.stack.api_key),
        endpoints=Endpoints(core=f"{url}/core-fast", account=f"{url}/account"),
        project_id=str(ground.stack.project_id),
    )
    device: Any = "EMU_FREE"
    batch = cloud.create_batch(sequence, [{"runs": RUNS}] * jobs, device_type=device, wait=True)
    return ground.spans(batch.id)


def _alone(emulator: PulserExecutor, sequence: str, jobs: int) -> float:
    """Milliseconds of a job in this process, once the sequence is read."""
    shared: Mapping[str, Any] = {"sequence": sequence}

    def run(job: int) -> None:
        work = Work(batch="alone", shared=shared, job=str(job), run=1, payload={"runs": RUNS})
        emulator.run(work, canceled=lambda: False)

    run(0)
    since = time.perf_counter()
    for job in range(jobs):
        run(job)
    return 1e3 * (time.perf_counter() - since) / jobs
