"""What only HTTP can get wrong.

HoldfastError
├── BadRequest
│   ├── MalformedJson     the body is no JSON
│   └── BadKey            the Idempotency-Key cannot be one
├── UnsupportedBody       not JSON by its own account
└── Conflict
    ├── ResultNotReady    there is none yet, or there never will be
    ├── StillRunning      it runs, and was not to be interrupted
    └── ShownOnce         a secret that is not kept cannot be told again
"""

from orchestrator.errors import Conflict, HoldfastError


class BadRequest(HoldfastError):
    code = "bad_request"


class MalformedJson(BadRequest):
    code = "malformed_json"


class BadKey(BadRequest):
    code = "bad_idempotency_key"


class UnsupportedBody(HoldfastError):
    code = "unsupported_body"


class ResultNotReady(Conflict):
    code = "result_not_ready"


class StillRunning(Conflict):
    code = "still_running"


class ShownOnce(Conflict):
    code = "key_shown_once"
