"""No-op jobs: the gap between two, the rate of a thousand, and what we add to long ones."""

import time
from contextlib import ExitStack
from pathlib import Path

from tests.bench.contender import Contender
from tests.bench.ground import NOOP, Ground
from tests.bench.plan import Plan, Step
from tests.bench.reading import Reading, at_least, at_most
from workers.executors.scripted import history

LINKS = 100
THOUSAND = 1000
JOB_S = 0.1


def link(ground: Ground, plan: Plan, step: Step) -> list[Reading]:
    ours, chain = [], []
    with ground.celery() as celery:
        for measured in range(plan.link_rounds + 1):
            a, b = our_link(ground), celery.run(LINKS).link
            if measured:
                ours.append(a * 1e3)
                chain.append(b * 1e3)
            step()
    return [
        Reading(
            metric="mean gap between two no-op jobs of a batch",
            unit="ms",
            ours=ours,
            peer=chain,
            against=f"link of a Celery chain({LINKS})",
            aim=at_most(1.0),
            paired=True,
        )
    ]


def our_link(ground: Ground) -> float:
    """From begin to begin, as for the peers: what a job itself takes counts as gap."""
    batch = ground.submit([NOOP] * LINKS)
    ground.until_over(batch)
    spans = ground.spans(batch)
    return (spans[-1].began - spans[0].began) / (LINKS - 1)


def throughput(ground: Ground, plan: Plan, step: Step) -> list[Reading]:
    aims = {"Celery": 10.0, "Procrastinate": 3.0, "huey": 1.0}
    ours: list[float] = []
    rates: dict[str, list[float]] = {name: [] for name in aims}
    with ExitStack() as stack:
        peers = [
            stack.enter_context(started)
            for started in (ground.celery(), ground.procrastinate(), ground.huey())
        ]
        for peer in peers:
            peer.run(LINKS)
        _our_rate(ground)
        step()
        for _ in range(plan.throughput_rounds):
            ours.append(_our_rate(ground))
            for peer in peers:
                peer.peer.tidy()
                rates[peer.peer.title].append(peer.run(THOUSAND).rate)
                step()
    return [
        Reading(
            metric="1,000 no-op jobs, submit to DONE",
            unit="jobs/s",
            ours=ours,
            peer=rates[name],
            against=_named(peer),
            aim=at_least(aims[name]),
            paired=True,
        )
        for peer in peers
        for name in [peer.peer.title]
    ]


def _named(contender: Contender) -> str:
    how = {"Celery": f"chain({THOUSAND})", "Procrastinate": "with a lock", "huey": "one thread"}
    return f"{contender.peer.title}, {how[contender.peer.title]}"


def _our_rate(ground: Ground) -> float:
    """Over HTTP, until the batch is seen DONE."""
    since = time.monotonic()
    batch = ground.submit([NOOP] * THOUSAND)
    ground.until_over(batch)
    took = time.monotonic() - since
    ground.spans(batch)
    return THOUSAND / took


def device_time(ground: Ground, plan: Plan, step: Step) -> list[Reading]:
    added = []
    for measured in range(plan.long_rounds):
        log = ground.folder / f"device-{measured}.log"
        job = {"payload": {"do": "sleep", "s": JOB_S, "log": str(log)}}
        batch = ground.submit([job] * plan.long_jobs)
        ground.until_over(batch, within_s=60)
        ground.spans(batch)
        added.append(100 * _added(log))
        step()
    return [
        Reading(
            metric=f"device time added to jobs of {JOB_S * 1e3:g} ms",
            unit="%",
            ours=added,
            aim=at_most(2.0),
        )
    ]


def _added(log: Path) -> float:
    """Gaps over job time, by the device's own record: within the executor, at the work itself."""
    lines = history(log)
    began = [line["at"] for line in lines if line["what"] == "began"]
    ended = [line["at"] for line in lines if line["what"] == "ended"]
    worked = sum(end - begin for begin, end in zip(began, ended, strict=True))
    return float((ended[-1] - began[0] - worked) / worked)
