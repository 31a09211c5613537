"""What pydantic found, as fields and sentences that say what to do."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel

from orchestrator.errors import Flaw

MOST: Final = 50
BODY: Final = "body"
_SENTENCES: Final = {
    "missing": "is required; add it",
    "int_type": "must be a whole number, without quotes",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} entry",
    "too_long": "must have at most {max_length} entries",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "uuid_type": "must be an id as this API gives it",
    "uuid_parsing": "must be an id as this API gives it",
    "timezone_aware": "must say its time zone, as in 2026-01-31T12:00:00Z",
    "datetime_type": "must be a moment such as 2026-01-31T12:00:00Z",
    "datetime_parsing": "must be a moment such as 2026-01-31T12:00:00Z",
    "datetime_from_date_parsing": "must be a moment such as 2026-01-31T12:00:00Z",
}
Error = Mapping[str, Any]


def flaws_in(errors: Sequence[Error], model: type[BaseModel] | None = None) -> list[Flaw]:
    """One per field; the first ones, with a word on how many more there are."""
    sentences: dict[str, list[str]] = {}
    for error in errors:
        said = sentences.setdefault(_path(error["loc"]), [])
        sentence = _sentence(error, model)
        if sentence not in said:
            said.append(sentence)
    flaws = [Flaw(field or BODY, " or ".join(said)) for field, said in sentences.items()]
    if len(flaws) > MOST:
        return [*flaws[:MOST], Flaw(BODY, f"has {len(flaws) - MOST} more mistakes like these")]
    return flaws


def _sentence(error: Error, model: type[BaseModel] | None) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown(error["loc"], model)
    template = _SENTENCES.get(kind)
    if template is None:
        message: str = error["msg"]
        return message[:1].lower() + message[1:]
    context: Mapping[str, Any] = error.get("ctx") or {}
    if kind == "string_too_short" and context.get("min_length", 1) > 1:
        return f"must have at least {context['min_length']} characters"
    return template.format_map({"expected": "", **context})


def _path(parts: Sequence[int | str]) -> str:
    """`("jobs", 3, "runs")` is `jobs[3].runs`. The names of a union's members are no fields."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in ("str", "int", "list[any]") and not part.startswith("dict["):
            path += f".{part}" if path else part
    return path


def _unknown(parts: Sequence[int | str], model: type[BaseModel] | None) -> str:
    known = _fields_at(parts[:-1], model)
    close = get_close_matches(str(parts[-1]), known, n=1)
    if close:
        return f"is not a field here; did you mean {close[0]!r}?"
    return f"is not a field here; remove it, or use one of {', '.join(known) or 'none'}"


def _fields_at(parts: Iterable[int | str], model: type[BaseModel] | None) -> list[str]:
    for part in parts:
        if isinstance(part, str) and model is not None and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation)
    return [] if model is None else list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each))), None)
