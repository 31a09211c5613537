"""What can go wrong, as a tree.

HoldfastError
├── NotFound              also another project's: existence is never told
├── Conflict
│   ├── IllegalMove       the batch or job is in a state that forbids this
│   ├── BatchClosed       it takes no more jobs
│   ├── KeyReused         the idempotency key was used for another request
│   ├── CertificateNotReady  the devices' logs do not tell everything yet; ask again
│   └── NotCertifiable    they tell something that speaks against it
├── InsufficientBalance   fewer credits than would be held for the jobs
├── Gone                  canceled before it began
├── TooOld                the caller's program is older than we can serve
├── Rejected              well formed, but not allowed; names fields
├── Unavailable           a server that we need does not answer; try again later
│   └── Deadlocked        two calls stood in each other's way; this one gave way
├── Unauthorized          no key, or one that is not valid
├── Forbidden             the key lacks a scope
├── TooOften              more calls than the caller may make; says how long to wait
└── TooLarge              the body is over the limit
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Flaw:
    """One field of a request that must change: where, and what to do about it."""

    field: str
    message: str


class HoldfastError(Exception):
    code: ClassVar[str] = "internal"


class NotFound(HoldfastError):
    code = "not_found"


class Conflict(HoldfastError):
    code = "conflict"


class IllegalMove(Conflict):
    code = "illegal_move"


class BatchClosed(Conflict):
    code = "batch_closed"


class KeyReused(Conflict):
    code = "idempotency_key_reused"


class CertificateNotReady(Conflict):
    code = "certificate_not_ready"


class NotCertifiable(Conflict):
    code = "not_certifiable"


class Gone(HoldfastError):
    code = "canceled"


class TooOld(HoldfastError):
    code = "too_old"


class Rejected(HoldfastError):
    code = "rejected"

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        super().__init__(_shown("; ".join(f"{flaw.field}: {flaw.message}" for flaw in flaws)))
        self.flaws = tuple(Flaw(_shown(flaw.field), _shown(flaw.message)) for flaw in flaws)


def _shown(text: str) -> str:
    """JSON may name half a character, which no answer can carry."""
    return text.encode("utf-8", "replace").decode()


class InsufficientBalance(HoldfastError):
    """Micro-credits; nothing of the call was done."""

    code = "insufficient_balance"

    def __init__(
        self, *, required: int, available: int, billable_jobs: int, runtime_s: int
    ) -> None:
        self.figures: dict[str, int | str] = {
            "required": required,
            "available": available,
            "shortfall": required - available,
            "unit": "micro-credits",
            "billable_jobs": billable_jobs,
            "assumed_runtime_s": runtime_s,
        }
        super().__init__(
            f"{billable_jobs} jobs need {required} micro-credits held for them, {available} are"
            f" available: {required - available} are missing; ask your operator for a grant"
        )


class Unavailable(HoldfastError):
    code = "unavailable"


class Deadlocked(Unavailable):
    pass


class Unauthorized(HoldfastError):
    code = "unauthorized"


class Forbidden(HoldfastError):
    code = "forbidden"


class TooLarge(HoldfastError):
    code = "too_large"


class TooOften(HoldfastError):
    """`most`: how many were allowed, where that is told."""

    code = "rate_limited"

    def __init__(self, message: str, *, wait_s: int, most: int | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s
        self.most = most
