"""What every executor must do, whatever it drives; run through the real child process.

Inherit `ExecutorContract`, say `executor`, and give the payloads that a test asks for.
"""

import json
import time
from collections.abc import Generator, Mapping
from typing import Any, ClassVar

import pytest

from workers.executors.base import Work
from workers.executors.child import Broke, Ending, ExecutorChild, Returned, Stopped
from workers.executors.process import ChildOptions
from workers.executors.registry import names


def never() -> bool:
    return False


def at_once() -> bool:
    return True


def started(executor: str, **options: Any) -> ExecutorChild:
    options.setdefault("max_result_bytes", 2**20)
    return ExecutorChild(ChildOptions(executor=executor, mark="contract", **options))


class ExecutorContract:
    executor: ClassVar[str]
    """The name of the entry point."""
    shared: ClassVar[Mapping[str, Any]] = {}
    good: ClassVar[Mapping[str, Any]]
    """A payload that gives a result within seconds, the same keys every time."""
    bad: ClassVar[Mapping[str, Any]]
    """A payload that fails, by its owner's fault."""
    bad_reason: ClassVar[str]
    """What the reason for `bad` must contain."""
    long: ClassVar[Mapping[str, Any]]
    """A payload that runs for at least 5 s."""

    @pytest.fixture(scope="class")
    @classmethod
    def child(cls) -> Generator[ExecutorChild]:
        child = started(cls.executor)
        yield child
        child.close()

    def run(self, child: ExecutorChild, payload: Mapping[str, Any], *, job: str = "j") -> Ending:
        return self._run(child, payload, never, job)

    def test_it_is_found_by_its_name(self) -> None:
        assert self.executor in names()

    def test_a_job_gives_a_json_object(self, child: ExecutorChild) -> None:
        ending = self.run(child, self.good)
        assert isinstance(ending, Returned)
        assert isinstance(json.loads(ending.text), dict)

    def test_a_result_has_the_same_shape_every_time(self, child: ExecutorChild) -> None:
        first, second = self.run(child, self.good, job="a"), self.run(child, self.good, job="b")
        assert isinstance(first, Returned)
        assert isinstance(second, Returned)
        assert json.loads(first.text).keys() == json.loads(second.text).keys()

    def test_a_counter_adds_up_to_the_runs(self, child: ExecutorChild) -> None:
        ending = self.run(child, self.good)
        assert isinstance(ending, Returned)
        counter = json.loads(ending.text).get("counter", {})
        assert sum(counter.values()) == self.good.get("runs", 0)

    def test_a_bad_job_becomes_a_reason(self, child: ExecutorChild) -> None:
        ending = self.run(child, self.bad)
        assert isinstance(ending, Broke)
        assert self.bad_reason in ending.reason

    def test_a_bad_job_does_not_cost_the_process(self, child: ExecutorChild) -> None:
        self.run(child, self.good)
        before = child.pid
        self.run(child, self.bad)
        assert isinstance(self.run(child, self.good), Returned)
        assert child.pid == before

    def test_a_job_that_is_told_to_stop_stops(self, child: ExecutorChild) -> None:
        began = time.monotonic()
        assert self._run(child, self.long, at_once, "j") == Stopped()
        assert time.monotonic() - began < 3

    def test_the_next_job_runs_after_a_stopped_one(self, child: ExecutorChild) -> None:
        self._run(child, self.long, at_once, "j")
        assert isinstance(self.run(child, self.good), Returned)

    def _run(self, child: ExecutorChild, payload: Mapping[str, Any], tick: Any, job: str) -> Ending:
        assert child.ready(never)
        work = Work(batch="b", shared=self.shared, job=job, run=1, payload=payload)
        return child.run(work, tick)
