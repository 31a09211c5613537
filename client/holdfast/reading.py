"""JSON to values and back.

Fields that this version does not know are ignored, so that an older client serves a newer
server.
"""

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from holdfast.errors import ApiError

Record = TypeVar("Record")


def read(kind: type[Record], data: Any, **more: Any) -> Record:
    """Build a dataclass from the server's JSON; `more` is what the server does not send."""
    try:
        return kind(**fields_of(kind, data), **more)
    except (TypeError, ValueError, AttributeError) as error:
        raise ApiError(
            200, "unexpected_answer", f"not a {kind.__name__} of this API: {error}"
        ) from error


def fields_of(kind: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the fields of `kind` that `data` holds, moments as datetime."""
    moments = _moments(kind)
    return {
        name: datetime.fromisoformat(data[name]) if name in moments and data[name] else data[name]
        for name in _names(kind)
        if name in data
    }


def plain(record: Any) -> dict[str, Any]:
    """A dataclass as JSON would have it; fields that begin with an underscore stay inside."""
    return {name: _plain_value(getattr(record, name)) for name in _names(type(record))}


def dump(body: Any) -> bytes:
    """JSON, numpy's scalars and arrays included. NaN is refused: no device could run it."""
    return json.dumps(body, default=from_numpy, allow_nan=False, separators=(",", ":")).encode()


def given(**fields: Any) -> dict[str, Any]:
    """The fields that were set; None means: leave it to the server. A moment without a zone is
    local time."""
    return {
        name: value.astimezone().isoformat() if isinstance(value, datetime) else value
        for name, value in fields.items()
        if value is not None
    }


def _plain_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def from_numpy(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}")


def _names(kind: Any) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(kind) if not f.name.startswith("_"))


@cache
def _moments(kind: Any) -> frozenset[str]:
    hints = get_type_hints(kind)
    return frozenset(name for name in _names(kind) if _holds_datetime(hints[name]))


def _holds_datetime(hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return datetime in get_args(hint)
    return hint is datetime
