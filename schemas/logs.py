"""Lines of a log: each says what it is about, as text or as JSON, and none tells a secret.

Whoever logs says nothing more than before: `logging.getLogger(__name__)`. What the lines are about
is said once, where the work on it begins.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Generator, Iterable, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast
from urllib.parse import unquote, urlsplit

from schemas import trace

Format = Literal["text", "json"]
FORMATS: Final = ("text", "json")
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
ALWAYS: Final = ("project", "batch", "job", "run")
"""There in every line of JSON: null where it is about none."""

_MASK: Final = "***"
_LEAST_SECRET: Final = 6
_PATTERNS: Final = (
    (r"""(://[^\s/:@"']*:)[^\s"'<>]{1,500}(?=@)""", rf"\1{_MASK}"),
    (r"""(?i)\b(bearer|basic)(\s+)[\w.~+/=-]{4,}""", rf"\1\2{_MASK}"),
    (r"\b(av|rn|hf|ct|whsec)_[\w+/=-]{12,}", rf"\1_{_MASK}"),
    (r"\beyJ[\w-]{8,}\.[\w.-]+", _MASK),
    (
        r"""(?i)((?:password|passwd|secret|token|signature|credential|permit|api[_-]?key"""
        r"""|access[_-]?key|authorization|cookie|csrf|holdfast_session)\w*(?:=|["']\s*[:=]\s*)["']?)[^\s"'&,;)}\]\\]+""",
        rf"\1{_MASK}",
    ),
)
_SECRETS: Final = tuple((re.compile(pattern), mask) for pattern, mask in _PATTERNS)
_NOTHING: Final[Mapping[str, Any]] = {}
_about: ContextVar[MutableMapping[str, Any]] = ContextVar("about")


@contextmanager
def about(**what: Any) -> Generator[None]:
    """Every line from inside is about these. An error that leaves takes them along, since it is
    logged by somebody who does not know them any more."""
    token = _about.set({**_about.get(_NOTHING), **what})
    try:
        yield
    except BaseException as error:
        error.__dict__.setdefault("holdfast_about", _about.get())
        raise
    finally:
        _about.reset(token)


def note(**what: Any) -> None:
    """More about what `about` was opened for, seen by every thread that shares it: a request is
    answered in several, each with a copy of the context."""
    known = _about.get(None)
    if known is not None:
        known.update(what)


def known() -> dict[str, Any]:
    """What lines from here are about: for whoever goes on with the work elsewhere."""
    return {name: value for name, value in _about.get(_NOTHING).items() if value is not None}


def configure(
    process: str, *, format: str = "text", level: str = "INFO", secrets: Iterable[str] = ()
) -> None:
    """Everything that this process says goes to standard error in one format, what it dies of and
    Python's warnings too. `secrets` are never told, whatever they look like."""
    handler = logging.StreamHandler()
    kind = JsonLines if format == "json" else TextLines
    handler.setFormatter(kind(process, tuple(s for s in secrets if len(s) >= _LEAST_SECRET)))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(True)
    logger = logging.getLogger(process)
    if format == "json":
        sys.stdout = sys.__stdout__ = cast(Any, _Printed(logger))  # type: ignore[misc]

    def uncaught(kind: type[BaseException], error: BaseException, frames: Any) -> None:
        if issubclass(kind, Exception):
            logger.critical("dies of an error", exc_info=(kind, error, frames))

    def uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None and issubclass(told.exc_type, Exception):
            where = told.thread.name if told.thread else "?"
            what = (told.exc_type, told.exc_value, told.exc_traceback)
            logger.critical("the thread %s dies of an error", where, exc_info=what)

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_thread


def passwords(*urls: str) -> list[str]:
    """Those in the addresses, as they stand there and as they are meant."""
    found = [word for url in urls if (word := urlsplit(url).password)]
    return [*found, *map(unquote, found)]


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    for secret in secrets:
        text = text.replace(secret, _MASK)
    for pattern, mask in _SECRETS:
        text = pattern.sub(mask, text)
    return text


class _Printed:
    """What somebody prints becomes lines like all others. It is no file: Celery, which writes
    its last words past everybody, looks for one and then keeps them to itself."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(str.strip, lines):
            self._logger.info("%s", line)
        return len(text)

    def flush(self) -> None:
        """A line is a line when it has ended."""


class _Lines(logging.Formatter):
    def __init__(self, process: str, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self.process = process
        self._secrets = secrets

    def said(self, record: logging.LogRecord) -> str:
        try:
            return masked(record.getMessage(), self._secrets)
        except Exception:
            # Logging's own complaint would go around us, with all that was to be said.
            return masked(f"{record.msg!r}, with values that do not fit", self._secrets)

    def named(self, record: logging.LogRecord) -> dict[str, str | int]:
        error = record.exc_info[1] if record.exc_info else None
        carried = getattr(error, "holdfast_about", _NOTHING)
        found = {**_about.get(_NOTHING), **carried}
        if (traced := trace.here()) is not None:
            found["trace"] = traced.split("-")[1]
        return {
            name: value if isinstance(value, int) else masked(str(value), self._secrets)
            for name, value in found.items()
            if value is not None
        }

    def error(self, record: logging.LogRecord) -> str:
        told = self.formatException(record.exc_info) if record.exc_info else ""
        return masked("\n".join(filter(None, (told, record.stack_info))), self._secrets)


class TextLines(_Lines):
    """`time level logger message project=... batch=...`, then the error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        named = self.named(record)
        names = sorted(named, key=lambda name: (*ALWAYS, name).index(name))
        what = "".join(f" {name}={named[name]}" for name in names)
        # A line that begins at the margin is ours: nobody's name of a batch can feign one.
        said = self.said(record).replace("\r", "").replace("\n", "\n  ")
        line = f"{self.formatTime(record)} {record.levelname} {record.name} {said}{what}"
        return "\n".join(filter(None, (line, self.error(record))))


class JsonLines(_Lines):
    """One object for each line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "process": self.process,
            "logger": record.name,
            "event": self.said(record),
            **dict.fromkeys(ALWAYS),
            **self.named(record),
        }
        if error := self.error(record):
            line["error"] = error
        return json.dumps(line)
