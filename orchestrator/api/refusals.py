"""What only HTTP can get wrong.

HoldfastError
├── BadRequest
│   ├── MalformedJson     the body is no JSON
│   └── BadKey            the Idempotency-Key cannot be one
├── UnsupportedBody       not JSON by its own account
├── Rejected
│   ├── BatchTooLarge     no jobs, or more than one call may bring
│   ├── KeyMismatch       the Idempotency-Key was used for another request
│   └── JobRefused        the one job of the call
└── Conflict
    ├── ResultNotReady    there is none yet, or there never will be
    ├── StillRunning      it runs, and was not to be interrupted
    ├── KeyInUse          the call with this Idempotency-Key is still under way
    └── ShownOnce         a secret that is not kept cannot be told again
"""

from orchestrator.errors import Conflict, HoldfastError, Rejected


class BadRequest(HoldfastError):
    code = "bad_request"


class MalformedJson(BadRequest):
    code = "malformed_json"


class BadKey(BadRequest):
    code = "bad_idempotency_key"


class UnsupportedBody(HoldfastError):
    code = "unsupported_body"


class BatchTooLarge(Rejected):
    code = "batch_too_large"


class KeyMismatch(Rejected):
    code = "idempotency_key_reused"


class JobRefused(Rejected):
    code = "job_refused"


class KeyInUse(Conflict):
    code = "idempotency_key_in_use"


class ResultNotReady(Conflict):
    code = "result_not_ready"


class StillRunning(Conflict):
    code = "still_running"


class ShownOnce(Conflict):
    code = "key_shown_once"
