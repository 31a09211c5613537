"""The one way to do a POST: under a key or without, it is decided once and can be told again.

What a call decided (ids, verdicts) is written down in the transaction of the change itself. The
answer is built from that report and from how things stand now: by the call that made the change,
and by every later one with the same key. So a crash between the commit and the answer loses
nothing, and a refused call leaves nothing behind.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import Caller, core_of, requires
from orchestrator.api.bodies import parse, read_body
from orchestrator.api.refusals import BadKey
from orchestrator.services.core import Core
from orchestrator.store import submissions
from orchestrator.store.listings_reading import Reader, reading
from orchestrator.store.submissions import Report, Submission
from orchestrator.store.transaction import Transaction
from schemas.words import Scope

LONGEST_KEY: Final = 255
REPLAYED: Final = "Idempotency-Replayed"
DOOR: Final = "native"
Given = TypeVar("Given")
Model = TypeVar("Model", bound=BaseModel)
Claim = Callable[[Transaction, UUID, str, bytes], Submission]

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="The same key with the same request is the same call: it is done once, and"
        " answered again with `Idempotency-Replayed: true`. At most 255 characters.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Post(Generic[Given]):
    """One call: by whom, with what, and under which key; `claim` makes the key the call's own."""

    core: Core
    caller: Caller
    body: Given
    key: str | None
    digest: bytes
    claim: Claim

    def run(
        self,
        decide: Callable[[Transaction], Report],
        answer: Callable[[Reader, Report], str],
        *,
        status: int = 200,
        location: Callable[[Report], str] | None = None,
        before: Callable[[], None] | None = None,
    ) -> Response:
        """`decide` makes the change and says what it was; `answer` shows it, as JSON. `before`
        may refuse the call, outside the transaction; it is not asked about one told again."""
        if before is not None and not self._is_known():
            before()
        report, replayed = self._decide(decide, status)
        with reading(self.core.engine) as connection:
            text = answer(connection, report)
        headers = {REPLAYED: "true"} if replayed else {}
        if location is not None:
            headers["Location"] = location(report)
        return json_answer(text, status=status, headers=headers)

    def _is_known(self) -> bool:
        if self.key is None:
            return False
        with reading(self.core.engine) as connection:
            return submissions.is_known(connection, self.caller.project, self.key)

    def _decide(self, decide: Callable[[Transaction], Report], status: int) -> tuple[Report, bool]:
        with self.core.transaction() as tx:
            if self.key is None:
                return decide(tx), False
            call = self.claim(tx, self.caller.project, self.key, self.digest)
            if call.report is not None:
                return call.report, True
            report = decide(tx)
            submissions.keep(tx, call.id, status, report)
            return report, False


def posting(
    scope: Scope,
    model: type[Model],
    *,
    optional: bool = False,
    or_else: Scope | None = None,
    secret: str | None = None,
) -> Any:
    """A dependency that gives the `Post`. The key is looked at before the body is read. `secret`:
    a field that leaves no trace in the record of the call, not even in a hash that it could be
    guessed from."""

    def post(
        request: Request,
        caller: Annotated[Caller, Depends(requires(scope, or_else))],
        raw: Annotated[bytes, Depends(read_body)],
        key: Key = None,
    ) -> Post[Model]:
        checked = checked_key(key)
        body = parse(model, raw, optional=optional)
        kept = raw if secret is None else body.model_dump_json(exclude={secret}).encode()
        return Post(
            core=core_of(request),
            caller=caller,
            body=body,
            key=checked,
            digest=digest_of(request, kept),
            claim=partial(submissions.claim, door=DOOR),
        )

    post.body_model = model  # type: ignore[attr-defined]
    return Depends(post)


def checked_key(key: str | None) -> str | None:
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY:
        raise BadKey(f"an Idempotency-Key has 1 to {LONGEST_KEY} characters, got {len(key)}")
    return key


def digest_of(request: Request, raw: bytes) -> bytes:
    head = f"{request.method} {request.url.path}\n".encode()
    return hashlib.sha256(head + hashlib.sha256(raw).digest()).digest()
