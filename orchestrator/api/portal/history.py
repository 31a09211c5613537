"""What happened, in the words of whoever it happened to."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from orchestrator.services.extend import EXHAUSTED
from orchestrator.services.outcomes import LOST_REASON
from orchestrator.store.listings_shown import Past, ShownJob
from schemas.words import JobStatus

_BATCH: Final = {
    "created": "Submitted",
    "jobs_added": "More jobs were added",
    "admitted": "Got its device",
    "joined": "Got another device",
    "left": "Let a device go",
    "started": "Its first job began",
    "drained": "All its jobs are over",
    "idled": "Timed out: open, and nothing to do for too long",
    "overran": "Timed out: longer on its device than it may be",
    "canceled": "Canceled",
    "preempted": "Gave its device away",
    "requeued": "Waits again, at the front of its priority",
    "paused": "Stopped: its device was taken out of service",
    "resumed": "Waits again for a device",
    "broke": "Ended: its device is gone for good",
    "revived": "Revived: what was unfinished runs again",
    "late": "An answer came too late and was put aside",
    "offline": "Its device fell silent",
    "infrastructure": "Its machine failed, not the job",
}
_JOB: Final = {
    "started": "Began",
    "done": "Done",
    "failed": "Failed",
    "canceled": "Canceled",
    "lost": "Lost: its device does not know how it ended",
    "preempted": "Stopped for the sake of its device; it runs again",
    "revived": "Waits again",
    "answered": "Took the result of its twin",
    "twin_failed": "Failed with its twin",
}
_BAD: Final = {"failed", "lost", "broke", "twin_failed", "offline", "infrastructure"}
_GOOD: Final = {"done", "drained", "answered"}
_WARN: Final = {"idled", "overran", "paused", "preempted", "canceled", "late"}


class Told(NamedTuple):
    """`tone`: good, bad, warn or calm. `window`: in which Flower shows its run."""

    event: Past
    words: str
    tone: str
    run: int | None
    reason: str
    window: int | None


def told(event: Past) -> Told:
    detail = event.detail or {}
    known = _BATCH if event.job_id is None else _JOB
    words = known.get(event.kind, event.kind.replace("_", " ").capitalize())
    jobs = detail.get("jobs")
    if isinstance(jobs, int):
        words += f", {jobs:,} {'job' if jobs == 1 else 'jobs'}"
    run, window = detail.get("run"), detail.get("window")
    return Told(
        event,
        words,
        tone(event.kind),
        run if isinstance(run, int) else None,
        str(detail.get("reason") or "")[:2000],
        window if isinstance(window, int) else None,
    )


def tone(kind: str) -> str:
    for name, kinds in (("bad", _BAD), ("good", _GOOD), ("warn", _WARN)):
        if kind in kinds:
            return name
    return "calm"


_STOPS: Final = {"done", "failed", "canceled", "lost", "preempted"}


def stretches(
    job: ShownJob, events: Sequence[Past], now: float
) -> list[tuple[str, str, float, float]]:
    """What the job's time went into, oldest first: (what, words, begin, end), in seconds.
    `events` oldest first; what goes on yet ends `now`."""
    found: list[tuple[str, str, float, float]] = []
    since, run = job.created_at.timestamp(), 0
    what, words = "wait", "waited"
    for event in events:
        at = event.at.timestamp()
        if event.kind == "started":
            found.append((what, words, since, at))
            run = (event.detail or {}).get("run") or run + 1
            what, words, since = "run", f"run {run}", at
        elif event.kind in _STOPS and what == "run":
            ended = event.kind if event.kind in ("failed", "lost", "canceled") else "run"
            found.append((ended, words, since, at))
            what, words, since = "wait", "waited again", at
    if job.ended_at is None:
        found.append((what, words, since, max(now, since)))
    elif not found:
        found.append((what, words, since, job.ended_at.timestamp()))
    return found


class Trouble(NamedTuple):
    """`what` happened, what its device or program `said`, and what to `do` about it."""

    what: str
    said: str
    do: str


_SIGNS: Final = (
    (
        ("the job does not fit its sequence", "no value for ", "unknown variable ", "variable"),
        "Its variables do not fit the sequence.",
        "Correct the variables and add a job with them.",
    ),
    (
        (
            *("the sequence cannot be read", "the batch has no sequence", "runs must be "),
            *("the backend configuration ", "seed must be ", "invalid job payload"),
        ),
        "What it was given is not right.",
        "Correct it and submit it again: a retry would fail in the same way.",
    ),
    (
        ("exceeded its wall limit",),
        "It took longer than it may.",
        "Make it smaller, or ask your operator for a longer limit.",
    ),
    (
        ("the executor process died", "the program died", "memoryerror"),
        "Its program ended all of a sudden, perhaps for want of memory.",
        "Retry it once; if it happens again, make the job smaller or show this to your operator.",
    ),
    (
        ("the result could not be stored",),
        "It ran, but its result could not be stored.",
        "Retry it; if it happens again, show this to your operator.",
    ),
    (
        (LOST_REASON,),
        "Its device failed while it ran, and nobody knows how far it came.",
        "Retry it: the job itself need not be at fault.",
    ),
)
"""How our own reasons begin, in small letters. A program's words may hold any of ours."""
_PLAIN: Final = (
    "Its program gave up.",
    "Read what it said, correct the job, or retry it if the fault was not its own.",
)
_CANCELED: Final = ("It was canceled.", "Retry it if you want its result after all.")
_EXHAUSTED: Final = "Ask your operator for a grant of credits, then retry it."


def trouble(job: ShownJob) -> Trouble | None:
    """None for a job that did not fail, or was not canceled."""
    said = (job.reason or "").strip()
    if job.status == JobStatus.CANCELED:
        return Trouble(_CANCELED[0], said, _EXHAUSTED if said == EXHAUSTED else _CANCELED[1])
    if job.status != JobStatus.ERROR:
        return None
    heard = said.lower()
    for signs, what, do in _SIGNS:
        if heard.startswith(signs):
            return Trouble(what, said, do)
    return Trouble(_PLAIN[0], said, _PLAIN[1])
