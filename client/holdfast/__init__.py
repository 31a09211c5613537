"""The client of the Holdfast batch server."""

from holdfast.batch import Batch
from holdfast.client import Client
from holdfast.errors import (
    ApiError,
    Conflict,
    ConnectionFailed,
    FieldError,
    Forbidden,
    HoldfastError,
    Invalid,
    JobFailed,
    NotConfigured,
    NotFound,
    TooLarge,
    Unauthorized,
    Unavailable,
    WaitTimeout,
)
from holdfast.job import Job
from holdfast.records import (
    CancelVerdict,
    Delivery,
    Device,
    Endpoint,
    Event,
    JobResult,
    Key,
    Limits,
    NewKey,
    SigningSecret,
)

__all__ = [
    "ApiError",
    "Batch",
    "CancelVerdict",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Delivery",
    "Device",
    "Endpoint",
    "Event",
    "FieldError",
    "Forbidden",
    "HoldfastError",
    "Invalid",
    "Job",
    "JobFailed",
    "JobResult",
    "Key",
    "Limits",
    "NewKey",
    "NotConfigured",
    "NotFound",
    "SigningSecret",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "WaitTimeout",
]
