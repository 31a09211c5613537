"""What is asked of the checker, and what it answers: one JSON line each way."""

from typing import Any, NotRequired, TypedDict


class JobQuestion(TypedDict):
    """`at` is where the job stands in the request, `jobs[3]` for example."""

    at: str
    variables: dict[str, Any]
    sequence: NotRequired[str]


class Question(TypedDict):
    """`spec`: of the device that is asked for, None if it has none; `sequence`: of the batch."""

    device_type: str
    spec: str | None
    sequence: str | None
    config: NotRequired[str]
    jobs: list[JobQuestion]


class Answer(TypedDict):
    """`flaws`: pairs of field and message. `unchecked`: so many jobs were left to the device,
    which says the same of each, because there was no time for all of them."""

    flaws: list[tuple[str, str]]
    unchecked: int


def blamed(question: Question) -> str:
    """The field to name when nothing more precise can be said."""
    return "jobs" if question["sequence"] is None else "sequence"
