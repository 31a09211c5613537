"""Ends that the server decides, because the controller does not."""

from typing import Final

PAST_DEADLINE: Final = "ran past its deadline"
CONTROLLER_LOST: Final = "controller lost"


def is_ours(reason: str | None) -> bool:
    """Whether the job ended without its controller: what that still says comes too late."""
    return reason is not None and reason.startswith((PAST_DEADLINE, CONTROLLER_LOST))
