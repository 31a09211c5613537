"""Races that always end the same way: one call is overtaken by another at a chosen point."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg

from orchestrator.services.core import Core
from tests.waiting import until

Sql = psycopg.Connection[tuple[Any, ...]]


def overtaken(
    core: Core,
    sql: Sql,
    asking: tuple[str, str],
    slow: Callable[[Core], Any],
    fast: Callable[[], Any],
) -> Any:
    """When `slow` has its first answer from `asking`, a port of its store and a method, `fast`
    runs: to its end, or until it has to wait for a lock of slow's. What slow returns; both have
    ended then."""
    port, method = asking
    with ThreadPoolExecutor(1) as pool:
        other = _Overtaken(getattr(core, port), method, sql, lambda: pool.submit(fast))
        changed: dict[str, Any] = {port: other}
        answer = slow(replace(core, **changed))
        assert other.passing is not None, f"{port}.{method} was not asked"
        other.passing.result()
    return answer


class _Overtaken:
    def __init__(
        self, real: Any, method: str, sql: Sql, start: Callable[[], "Future[Any]"]
    ) -> None:
        self._real, self._method, self._sql, self._start = real, method, sql, start
        self.passing: Future[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        return method if name != self._method or self.passing else self._then_passed(method)

    def _then_passed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*args: Any, **options: Any) -> Any:
            answer = method(*args, **options)
            self.passing = passing = self._start()
            until(lambda: passing.done() or waiting(self._sql), 10)
            return answer

        return asked


def waiting(sql: Sql) -> int:
    """How many of our transactions wait for another's."""
    found = sql.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    ).fetchone()
    return int(found[0]) if found else 0
