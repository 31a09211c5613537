"""What can go wrong, as a tree.

HoldfastError
├── NotConfigured         no address or no key, or one that cannot be right
├── NotInstalled          an optional package is missing (also an ImportError)
├── BadMolecule           no molecule, or none that has a geometry (also a ValueError)
├── ConnectionFailed      the server did not answer, however often it was asked
├── WaitTimeout           it is not over yet (also a TimeoutError)
├── JobFailed             a result was asked for, and the job has none to give
└── ApiError              the server refused; says why
    ├── Unauthorized      no key, or one that is not valid (401)
    ├── InsufficientBalance  nothing was submitted; has the numbers (402)
    ├── Forbidden         the key lacks a scope (403)
    ├── NotFound          no such thing in this project (404)
    ├── Conflict          its state forbids this (409)
    ├── TooLarge          the body is over the limit (413)
    ├── Invalid           fields that must change (422)
    └── Unavailable       the server cannot serve now; already retried (502, 503, 504)
        └── RateLimited   too many calls; says when to come back (429)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class FieldError:
    """`field` is a path such as `jobs[3].runs`."""

    field: str
    message: str


class HoldfastError(Exception):
    """The root: catch this to catch everything that this package raises."""


class NotConfigured(HoldfastError):
    """No address or no key, or one that cannot be right."""


class NotInstalled(HoldfastError, ImportError):
    """An optional package is missing; the text says which, and how to get it."""


class BadMolecule(HoldfastError, ValueError):
    """No molecule, or none that a 3D geometry is found for."""


class ConnectionFailed(HoldfastError):
    """The server did not answer, however often it was asked."""


class WaitTimeout(HoldfastError, TimeoutError):
    """It is not over yet. Nothing was canceled: waiting again is fine."""


class JobFailed(HoldfastError):
    """The job ended without a result; `status` is ERROR or CANCELED, of a molecule failed or
    cancelled."""

    def __init__(self, job_id: str, status: str, reason: str | None) -> None:
        super().__init__(f"job {job_id} ended {status}: {reason or 'no reason given'}")
        self.job_id = job_id
        self.status = status
        self.reason = reason


class ApiError(HoldfastError):
    """The server's own words: `status` is HTTP's, `code` is stable and meant for programs."""

    def __init__(
        self, status: int, code: str, detail: str, errors: Sequence[FieldError] = ()
    ) -> None:
        lines = [detail, *(f"{error.field}: {error.message}" for error in errors)]
        super().__init__("\n  ".join(line for line in lines if line))
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)


class Unauthorized(ApiError):
    """No key, or one that is not valid."""


class InsufficientBalance(ApiError):
    """Nothing was submitted. Micro-credits, each None if the server did not say."""

    required: int | None = None
    available: int | None = None
    shortfall: int | None = None


class Forbidden(ApiError):
    """The key lacks a scope."""


class NotFound(ApiError):
    """No such thing in this project."""


class Conflict(ApiError):
    """Its state forbids this; `code` says which rule."""


class TooLarge(ApiError):
    """The body is over the limit; `Client.limits()` tells the limits."""


class Invalid(ApiError):
    """`errors` names each field that must change."""


class Unavailable(ApiError):
    """The server cannot serve now, and still could not after every retry."""


class RateLimited(Unavailable):
    """Too many calls. `retry_after`: in how many seconds to come back."""

    retry_after: float = 0.0


_BY_STATUS: Final[dict[int, type[ApiError]]] = {
    400: Invalid,
    401: Unauthorized,
    402: InsufficientBalance,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Invalid,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def from_problem(status: int, problem: Any) -> ApiError:
    """The typed error of an answer. `problem` is its JSON body, or None if it had none."""
    said: dict[str, Any] = problem if isinstance(problem, dict) else {}
    detail = said.get("detail") or said.get("title") or f"the server answered {status} {_HINT}"
    error = _BY_STATUS.get(status, ApiError)(
        status, str(said.get("code", f"http_{status}")), str(detail), _fields(said.get("errors"))
    )
    if isinstance(error, InsufficientBalance):
        error.required, error.available = said.get("required"), said.get("available")
        error.shortfall = said.get("shortfall")
    return error


_HINT: Final = "without an explanation; is the address that of a Holdfast server?"


def _fields(errors: Any) -> list[FieldError]:
    if not isinstance(errors, list):
        return []
    return [
        FieldError(str(each.get("field", "")), str(each.get("message", "")))
        for each in errors
        if isinstance(each, dict)
    ]
