"""What an operator may set of an executor: each a keyword of its constructor.

holdfast worker --executor pulser --option modulation=true --option shot_s=0.2
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from workers.executors import registry

VARIABLE: Final = "HOLDFAST_EXECUTOR_OPTIONS"
"""The same as one text, `modulation=true,shot_s=0.2`; `--option` goes before it."""


class BadOptions(Exception):
    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read(executor: str, texts: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
    """`NAME=VALUE` each; the last one of a name counts. Raises BadOptions with every mistake."""
    given = [word.strip() for word in env.get(VARIABLE, "").split(",") if word.strip()]
    texts = [*given, *texts]
    if not texts:
        return {}
    offered = _offered(executor)
    options: dict[str, Any] = {}
    problems: list[str] = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in offered:
            known = ", ".join(offered) or "none"
            problems.append(f"option {text!r}: give NAME=VALUE; {executor} has {known}")
            continue
        try:
            options[name] = _READERS[offered[name]](value)
        except (KeyError, ValueError) as error:
            problems.append(f"option {name}: {error}, not {value!r}")
    if problems:
        raise BadOptions(problems)
    return options


def _offered(executor: str) -> dict[str, type]:
    parameters = inspect.signature(registry.load(executor), eval_str=True).parameters.values()
    return {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY}


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ValueError("must be a whole number of at least 1")
    return int(text)


def _amount(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not (math.isfinite(number) and number >= 0):
        raise ValueError("must be a number of at least 0")
    return number


_READERS: Final[dict[type, Callable[[str], Any]]] = {
    bool: _switch,
    int: _count,
    float: _amount,
    str: str,
}
