"""An example of every request body, for the API's description. Each one is valid: a test says."""

from typing import Any, Final

from pydantic import BaseModel

from orchestrator.api.bodies import Nothing
from schemas.batch import BatchIn, CancelBatchesIn, RebatchIn, TagsIn
from schemas.controller import (
    AcquireIn,
    CheckpointIn,
    CompleteIn,
    HeartbeatIn,
    RegisterIn,
    StartIn,
    WhyIn,
)
from schemas.device import DrainIn, KeyIn, PauseIn
from schemas.job import CancelIn, CancelJobsIn, JobsIn
from schemas.member import MemberIn, RoleIn
from schemas.submit import CapacityIn, EntryIn, RenameIn, SubmitBatchIn
from schemas.webhook import EnableIn

_ID: Final = "01990d5e-6b2a-7c3f-9d41-2f8a6f1c0b7e"
_JOB: Final = {"runs": 500, "variables": {"omega": 6.28}}
_ENTRY: Final = {
    "job": {
        "job_type": "single_point_energy",
        "atoms": {
            "symbols": ["O", "H", "H"],
            "positions": [[0, 0, 0.1173], [0, 0.7572, -0.4692], [0, -0.7572, -0.4692]],
        },
        "level_of_theory": "GFN2-xTB",
        "name": "water",
    },
    "compute_target": None,
    "use_cache": True,
}

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
    DrainIn: {"reason": "a helium refill", "when": "after_batch"},
    KeyIn: {"name": "notebook", "scopes": ["submit"]},
    MemberIn: {"username": "ada", "role": "member", "password": "a long one, please"},
    RoleIn: {"role": "reader"},
    EnableIn: {"url": "https://example.org/hook"},
    SubmitBatchIn: {"jobs": [_ENTRY]},
    EntryIn: _ENTRY,
    CapacityIn: {"jobs": [_ENTRY], "compute_target": "dgx"},
    RenameIn: {"name": "water, again"},
    RegisterIn: {
        "name": "dgx",
        "version": "0.1.0",
        "hostname": "dgx.lab.example.org",
        "cores": 64,
        "memory_mb": 256_000,
        "lanes": 8,
        "slots": {"single_point_energy": 100},
        "backends": [{"name": "tblite", "version": "0.8.0", "job_types": ["single_point_energy"]}],
    },
    AcquireIn: {"request_id": "7f3a", "free": {"single_point_energy": 4}, "wait_s": 25},
    StartIn: {"epoch": 1},
    HeartbeatIn: {"running": [{"assignment_id": f"{_ID}.1", "epoch": 1}]},
    CompleteIn: {
        "epoch": 1,
        "outcome": "done",
        "result": {"energy": -5.070370764541},
        "usage": {"core_seconds": 0.4, "wall_s": 0.1},
    },
    CheckpointIn: {"epoch": 1, "seq": 3, "sha256": "0" * 64, "uri": "s3://lab/steps/3"},
    WhyIn: {"reason": "new fans on Monday"},
    Nothing: {},
}
