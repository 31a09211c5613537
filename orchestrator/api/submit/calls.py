"""A submission: once under a key, told again to whoever lost the answer, and not too often.

A key is looked at before anything else is, so that what is told again costs nothing.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer, plain_text
from orchestrator.api.auth import Caller, core_of, requires
from orchestrator.api.bodies import read_body
from orchestrator.api.posting import Key, Post, checked_key, digest_of
from orchestrator.api.problems import rate_headers
from orchestrator.api.refusals import KeyInUse, KeyMismatch, MalformedJson
from orchestrator.broker.rates import Rate, Standing
from orchestrator.errors import Deadlocked, Flaw, KeyReused, Rejected, TooOften
from orchestrator.services import content
from orchestrator.services.core import Core
from orchestrator.services.plan import Submitter
from orchestrator.store import submissions
from orchestrator.store.submissions import Report, Submission
from orchestrator.store.transaction import Transaction
from schemas.job import Body
from schemas.words import Scope

DOOR: Final = "submit-batch"
KEPT: Final = timedelta(hours=24)
LARGE: Final = 2**20
DENSEST: Final = 7
"""Bytes of a body for each list and object in it, at the least: `[0,0,0],` is a whole atom."""
Call = Post[bytes]


def calling(model: type[Body], scope: Scope = Scope.SUBMIT) -> Any:
    """A dependency that gives the `Call`, its body not parsed yet."""

    def call(
        request: Request,
        caller: Annotated[Caller, Depends(requires(scope))],
        raw: Annotated[bytes, Depends(read_body)],
        key: Key = None,
    ) -> Call:
        bare = checked_key(_unquoted(key))
        return Post(
            core=core_of(request),
            caller=caller,
            body=raw,
            # A key is good for one address: another one's is another key.
            key=None if bare is None else f"{request.url.path} {bare}",
            digest=digest_of(request, raw),
            claim=_claim,
        )

    call.body_model = model  # type: ignore[attr-defined]
    return Depends(call)


def _unquoted(key: str | None) -> str | None:
    """A structured string, as the standard wants it; most send it bare."""
    quoted = key is not None and len(key) > 1 and key[0] == key[-1] == '"'
    return key[1:-1] if key is not None and quoted else key


def _claim(tx: Transaction, project: UUID, key: str, digest: bytes) -> Submission:
    try:
        call = submissions.claim_alone(tx, project, key, digest, door=DOOR, span=KEPT)
    except KeyReused as error:
        raise KeyMismatch([Flaw("Idempotency-Key", str(error))]) from None
    if call is None:
        raise KeyInUse("the call with this Idempotency-Key is still under way; ask again")
    return call


def submitter(caller: Caller) -> Submitter:
    return Submitter(caller.project, caller.user, caller.key_id)


def parsed(raw: bytes, fields: frozenset[str]) -> dict[str, Any]:
    """The body as an object that has none but these fields; what they hold is not looked at."""
    _check_density(raw)
    try:
        body = content.parse(raw)
    except (ValueError, RecursionError) as error:
        raise MalformedJson(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Rejected([Flaw("body", "must be an object, with no field twice")])
    if unknown := sorted(body.keys() - fields):
        words = ", ".join(sorted(fields))
        raise Rejected([Flaw(unknown[0][:100], f"is not a field here; use one of {words}")])
    return body


def _check_density(raw: bytes) -> None:
    """An empty list takes three bytes to send and 64 to keep."""
    if len(raw) > LARGE and (raw.count(b"[") + raw.count(b"{")) * DENSEST > len(raw):
        raise Rejected([Flaw("body", "has more lists and objects than any jobs of its size")])


class Ration:
    """One call's share of what is allowed in a minute; taken once, though the call be tried
    twice."""

    def __init__(self, core: Core, caller: Caller) -> None:
        self._core, self._who = core, str(caller.user or caller.key_id)
        self._rate = Rate(DOOR, core.settings.batches_per_minute, 60)
        self._taken: Standing | None = None

    def take(self) -> None:
        """Raises TooOften; and Unavailable, for what costs money is not let through unseen."""
        if self._taken is not None:
            return
        taken, most = self._core.rates.take(self._rate, self._who), self._rate.most
        if not taken.allowed:
            raise TooOften(
                f"at most {most} batches a minute for one user; again in {taken.reset_s} s",
                wait_s=taken.reset_s,
                most=most,
            )
        self._taken = taken

    @property
    def headers(self) -> dict[str, str]:
        """None for a call that was told again."""
        taken = self._taken
        return (
            {} if taken is None else rate_headers(self._rate.most, taken.remaining, taken.reset_s)
        )


def ask(call: Call, answer: Callable[[Transaction], Any]) -> Response:
    """A question that changes nothing: it leaves no record, and a key means nothing to it."""
    with call.core.transaction() as tx:
        return json_answer(plain_text(answer(tx)))


def run(
    call: Call, decide: Callable[[Transaction], Report], show: Callable[[Report], Any]
) -> Response:
    """Once more where two calls waited for each other: of those one gives way."""
    once = partial(call.run, decide, lambda _, report: plain_text(show(report)))
    try:
        return once()
    except Deadlocked:
        return once()
