"""What an entry of the submit-batch door asks for, and the key of its content.

Entries are read one by one, so that a bad one fails alone.
"""

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, Final

import rfc8785
from pydantic import Field, StrictBool, ValidationError
from pydantic_core import from_json

from orchestrator.domain.entries import name_flaw
from schemas.chemistry import CONSTRAINTS, JOB_TYPES, ChemistryJob
from schemas.job import Body

DEEPEST: Final = 100
"""Levels of lists and objects that are read; no entry has so many."""
_WORST: Final = 3
_LONGEST: Final = 200
_DIGITS: Final = 40
# A text without an end is one too: else each quote in it would be looked for an end of its own.
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.S)
_NO_OBJECT: Final = "must be an object"
_WORDS: Final = {
    "missing": "is required",
    "extra_forbidden": "is not a field here",
    "model_type": _NO_OBJECT,
    "model_attributes_type": _NO_OBJECT,
    "dict_type": _NO_OBJECT,
    "union_tag_not_found": _NO_OBJECT,
    "union_tag_invalid": _NO_OBJECT,
}
_KINDS: Final = {"job_type": JOB_TYPES, "kind": CONSTRAINTS}
_MOST_EXACT: Final = 1e16
_encode: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False
).encode


@dataclass(frozen=True, slots=True)
class Twice:
    """Stands where an object was that names a field twice."""

    name: str


class _Entry(Body):
    job: ChemistryJob
    compute_target: Annotated[str, Field(max_length=100)] | None = None
    use_cache: StrictBool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """`payload`: the job with every default in its place, and without its name."""

    name: str | None
    job_type: str
    target: str | None
    use_cache: bool
    payload: dict[str, Any]


def parse(raw: bytes) -> Any:
    """JSON, with what no JSON may be left in its place: NaN, endless numbers, fields that are
    there twice, depths without end. Raises ValueError if it is none."""
    try:
        # How deep Python itself reads, depends on its version and on how deep its caller stands.
        from_json(raw, allow_inf_nan=True)
    except ValueError:
        raw = _shallow(raw)
    return _loads(raw)


def _loads(raw: bytes) -> Any:
    return json.loads(raw, object_pairs_hook=_object, parse_int=_integer)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Twice:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    return Twice(Counter(name for name, _ in pairs).most_common(1)[0][0])


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= _DIGITS else float("inf")


def _shallow(raw: bytes) -> bytes:
    """With null for whatever lies too deep: where that was, nothing is valid any more."""
    kept = bytearray()
    depth = start = 0
    for token in _TOKEN.finditer(raw):
        if token[0] in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                kept += raw[start : token.start()] + b"null"
        elif token[0] in b"]}":
            if depth == DEEPEST + 1:
                start = token.end()
            depth -= 1
    return bytes(kept + raw[start:]) if depth <= DEEPEST else bytes(kept)


def read(entry: Any) -> Asked | str:
    """What is asked for, or what is wrong with it in a sentence."""
    try:
        given = _Entry.model_validate(entry)
    except ValidationError as error:
        return _wrong(error)
    job = given.job
    if job.name is not None and (flaw := name_flaw(job.name)):
        return f"Invalid job payload: job.name: {flaw}"
    payload = job.model_dump(exclude={"name"})
    return Asked(job.name, job.job_type, given.compute_target, given.use_cache, payload)


def _wrong(error: ValidationError) -> str:
    found = error.errors(include_url=False)
    said = "; ".join(_sentence(each) for each in found[:_WORST])
    more = f"; and {len(found) - _WORST} more" if len(found) > _WORST else ""
    # JSON may name half a character, which no answer can carry.
    return f"Invalid job payload: {said}{more}".encode("utf-8", "replace").decode()


def _sentence(error: Any) -> str:
    where, kind, given = _path(error["loc"]), error["type"], error["input"]
    if isinstance(given, Twice):
        what = f"has the field {given.name!r} twice"
    elif kind in ("union_tag_invalid", "union_tag_not_found") and isinstance(given, dict):
        name = error["ctx"]["discriminator"].strip("'")
        where, what = f"{where}.{name}", f"must be one of {', '.join(_KINDS[name])}"
    else:
        what = _WORDS.get(kind) or str(error["msg"]).removeprefix("Value error, ")
    return f"{where or 'entry'}: {what[:1].lower()}{what[1:]}"[:_LONGEST]


def _path(parts: tuple[int | str, ...]) -> str:
    """The names of a union's members are no fields."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in (*JOB_TYPES, *CONSTRAINTS):
            path += f".{part}" if path else part
    return path


def key_of(payload: dict[str, Any], backend: str) -> bytes:
    """SHA-256 over canonical JSON: equal for equal jobs, however they were written."""
    text = f'{{"backend":{json.dumps(backend)},"job":{canonical(payload)},"v":1}}'
    return hashlib.sha256(text.encode()).digest()


def canonical(payload: dict[str, Any]) -> str:
    """RFC 8785. Coordinates are the same up to 1e-8 angstrom."""
    atoms = payload["atoms"]
    positions = [[_whole(round(x, 8)) for x in place] for place in atoms["positions"]]
    rest = {name: _plain(each) for name, each in payload.items() if name != "atoms"}
    plain = {**rest, "atoms": {**atoms, "positions": positions}}
    text = _encode(plain)
    # The standard library writes numbers as the RFC does, unless they need an exponent.
    if "e-" not in text and "e+" not in text:
        return text
    # As they came: of whole numbers beyond 2**53 the RFC takes only those that are floats.
    rounded = [[round(x, 8) for x in place] for place in atoms["positions"]]
    return rfc8785.dumps({**payload, "atoms": {**atoms, "positions": rounded}}).decode()


def _whole(number: float) -> float:
    """1 and 1.0 are one, and so are 0 and -0."""
    return int(number) if number.is_integer() and abs(number) < _MOST_EXACT else number


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return _whole(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
