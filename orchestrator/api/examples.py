"""An example of every request body, for the API's description. Each one is valid: a test says."""

from typing import Any, Final

from pydantic import BaseModel

from orchestrator.api.bodies import Nothing
from schemas.batch import BatchIn, CancelBatchesIn, RebatchIn, TagsIn
from schemas.device import KeyIn, PauseIn
from schemas.job import CancelIn, CancelJobsIn, JobsIn
from schemas.webhook import EnableIn

_ID: Final = "01990d5e-6b2a-7c3f-9d41-2f8a6f1c0b7e"
_JOB: Final = {"runs": 500, "variables": {"omega": 6.28}}

EXAMPLES: Final[dict[type[BaseModel], Any]] = {
    BatchIn: {
        "device_type": "EMU_FREE",
        "sequence": '{"version": "1", "name": "pulses"}',
        "jobs": [_JOB, {"runs": 500, "variables": {"omega": 12.57}}],
        "open": True,
        "name": "adiabatic sweep",
        "tags": ["thesis"],
    },
    JobsIn: {"jobs": [_JOB]},
    CancelIn: {"interrupt": True},
    CancelBatchesIn: {"ids": [_ID], "interrupt": False},
    CancelJobsIn: {"filter": {"statuses": ["PENDING"], "min_runs": 1000}, "interrupt": False},
    RebatchIn: {"filter": {"statuses": ["ERROR", "CANCELED"]}, "name": "the rest of the sweep"},
    TagsIn: {"tags": ["thesis", "chapter-3"]},
    PauseIn: {"reason": "calibration until noon"},
    KeyIn: {"name": "notebook", "scopes": ["submit"]},
    EnableIn: {"url": "https://example.org/hook"},
    Nothing: {},
}
