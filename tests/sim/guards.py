"""The engine without one of its guards: a line of the real source is changed while a test runs."""

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from types import FunctionType, ModuleType
from typing import Any

from sqlalchemy import TextClause


@contextmanager
def without(module: ModuleType, guard: str, instead: str) -> Generator[None]:
    """`guard` is source text that must be there exactly once; a guard that moves or goes makes the
    test fail, not pass."""
    source = inspect.getsource(module)
    assert source.count(guard) == 1, f"{module.__name__} has {source.count(guard)} x {guard!r}"
    weakened = ModuleType(module.__name__)
    weakened.__file__ = module.__file__
    code = compile(source.replace(guard, instead), module.__file__ or "", "exec")
    exec(code, weakened.__dict__)
    undo = list(_exchanged(vars(module), vars(weakened)))
    try:
        yield
    finally:
        for restore in undo:
            restore()


def _exchanged(sound: dict[str, Any], weak: dict[str, Any]) -> Generator[Callable[[], object]]:
    """Code and SQL are exchanged inside what others have imported already."""
    for name, old in list(sound.items()):
        new = weak.get(name)
        if isinstance(old, FunctionType) and isinstance(new, FunctionType):
            yield from _code(old, new)
        elif isinstance(old, TextClause | str) and isinstance(new, TextClause | str):
            sound[name] = new
            yield partial(sound.update, {name: old})
        elif isinstance(old, dict) and isinstance(new, dict) and name.startswith("_MOVE"):
            before = dict(old)
            old.update(new)
            yield partial(old.update, before)
        elif isinstance(old, type) and isinstance(new, type):
            yield from _methods(old, new)


def _methods(old: type, new: type) -> Generator[Callable[[], object]]:
    for name, method in list(vars(old).items()):
        other = vars(new).get(name)
        if isinstance(method, FunctionType) and isinstance(other, FunctionType):
            yield from _code(method, other)


def _code(old: FunctionType, new: FunctionType) -> Generator[Callable[[], object]]:
    before = old.__code__
    if before.co_code != new.__code__.co_code or before.co_consts != new.__code__.co_consts:
        old.__code__ = new.__code__
        yield partial(setattr, old, "__code__", before)
