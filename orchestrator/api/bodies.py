"""Request bodies: bounded while they arrive, parsed in one go, every mistake named."""

from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from orchestrator.api.auth import core_of
from orchestrator.api.flaws import BODY, flaws_in
from orchestrator.api.refusals import MalformedJson, UnsupportedBody
from orchestrator.errors import Flaw, Rejected, TooLarge
from schemas.job import Body

Model = TypeVar("Model", bound=BaseModel)
_SPELLS_NUL: Final = b"\\u0000"
_NOT_NUMBERS: Final = (b"NaN", b"Infinity")


class Nothing(Body):
    """A request that says it all by its address."""


async def read_body(request: Request) -> bytes:
    """Refused as soon as it is known to be over the limit; nothing beyond is kept."""
    most = core_of(request).settings.max_body_bytes
    _check_headers(request, most)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise too_large(most)
    return bytes(body)


def parse(model: type[Model], raw: bytes, *, optional: bool = False) -> Model:
    """Raises MalformedJson, or Rejected with every field that must change."""
    if not raw.strip():
        if optional:
            return model()
        raise Rejected([Flaw(BODY, "is missing: send a JSON object")])
    try:
        parsed = model.model_validate_json(raw)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        if found[0]["type"] == "json_invalid":
            raise MalformedJson(f"the body is not JSON: {found[0]['ctx']['error']}") from None
        raise Rejected(flaws_in(found, model)) from None
    _check_text(raw)
    return parsed


def parsed(model: type[Model]) -> Any:
    """A dependency that gives the body as that model."""

    def body(raw: Annotated[bytes, Depends(read_body)]) -> Model:
        return parse(model, raw)

    body.body_model = model  # type: ignore[attr-defined]
    return Depends(body)


def _check_headers(request: Request, most: int) -> None:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > most:
        raise too_large(most)
    sent = declared != "0" or "transfer-encoding" in request.headers
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if sent and kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedBody(f"the body is {kind!r}; send JSON, as Content-Type: application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedBody("the body is compressed; send it as it is, without Content-Encoding")


def too_large(most: int) -> TooLarge:
    return TooLarge(f"the body is over {most} bytes; send the jobs in several calls")


def _check_text(raw: bytes) -> None:
    """The parser takes NaN and NUL; the database's JSON has neither. Rare, so looked for only
    where the bytes hint at it."""
    if any(word in raw for word in _NOT_NUMBERS):
        try:
            from_json(raw, allow_inf_nan=False)
        except ValueError as error:
            raise MalformedJson(f"the body is not JSON: {error}") from None
    if _SPELLS_NUL in raw and _holds_nul(from_json(raw)):
        raise Rejected([Flaw(BODY, "must not hold NUL characters (\\u0000)")])


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(map(_holds_nul, value)) or any(map(_holds_nul, value.values()))
    return isinstance(value, list) and any(map(_holds_nul, value))
