"""The engine against a model of what a user sees, whatever is done in whatever order."""

from types import ModuleType
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orchestrator.domain import seat
from orchestrator.errors import Conflict
from orchestrator.services import advance, cancel, close, place, revive
from orchestrator.services import settle as settling
from orchestrator.services.append import add, open_batch
from orchestrator.services.device import pause, resume
from orchestrator.services.submit import accept
from orchestrator.store.batches import NewBatch
from orchestrator.store.jobs import NewJob
from schemas.job import JobFilter
from tests.sim import history
from tests.sim.device import Violation
from tests.sim.guards import without
from tests.sim.hand import Hand
from tests.sim.journal import Node
from tests.sim.memory import Job
from tests.sim.model import Model, OnDevice
from tests.sim.worker import NEVER
from tests.sim.world import PROJECT, World
from workers.executors.child import Broke, Returned

IDLE_S: Final = 10_000.0
A_WHILE: Final = 4
"""Rounds of a second: longer than a window may be held by nobody, shorter than a lease."""
LONG: Final = 12


class Plane(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        history.listen()
        self.model = Model()
        self.world = World()
        self.worker = Hand(Node("j", "lone", "LONE"), self.world.broker, self.world.floor, 1)
        self.world.workers = [self.worker]
        self.go_on()

    def go_on(self, rounds: int = A_WHILE) -> None:
        for _ in range(rounds):
            self.world.round(1.0)

    def batch(self, which: int) -> tuple[int, UUID]:
        number = which % len(self.model.batches)
        return number, list(self.world.rows.batches)[number]

    def asked(self, verb: Any, *args: Any, **options: Any) -> Any:
        """False when it is refused."""
        try:
            with self.world.core.transaction() as tx:
                answer = verb(self.world.core, tx, *args, **options)
        except Conflict:
            return False
        return True if answer is None else answer

    # Users.

    @precondition(lambda self: len(self.model.batches) < 6)
    @rule(is_open=st.booleans(), priority=st.integers(0, 2), jobs=st.integers(0, 3))
    def create(self, is_open: bool, priority: int, jobs: int) -> None:
        jobs = jobs if is_open else jobs + 1
        self.asked(accept, _new_batch(len(self.model.batches), is_open, priority), _jobs(jobs))
        self.model.create(open=is_open, priority=priority, jobs=jobs)
        self.go_on()

    @precondition(lambda self: self.model.batches)
    @rule(which=st.integers(0, 5), jobs=st.integers(1, 2))
    def add_jobs(self, which: int, jobs: int) -> None:
        number, batch = self.batch(which)

        def append(core: Any, tx: Any) -> object:
            return add(core, tx, open_batch(core, tx, PROJECT, batch), _jobs(jobs))

        assert bool(self.asked(append)) == self.model.add(number, jobs)
        self.go_on()

    @precondition(lambda self: self.model.batches)
    @rule(which=st.integers(0, 5))
    def close(self, which: int) -> None:
        number, batch = self.batch(which)
        assert self.asked(close.close, PROJECT, batch) == self.model.close(number)
        self.go_on()

    @precondition(lambda self: any(batch.jobs for batch in self.model.batches))
    @rule(which=st.integers(0, 17), interrupt=st.booleans())
    def cancel_job(self, which: int, interrupt: bool) -> None:
        known = list(self.world.rows.jobs.values())
        self.cancel(known[which % len(known)], interrupt=interrupt)

    @precondition(lambda self: self.model.runs is not None)
    @rule(interrupt=st.booleans(), batch=st.booleans())
    def cancel_what_runs(self, interrupt: bool, batch: bool) -> None:
        assert self.model.runs is not None
        if batch:
            self.cancel_batch(self.model.runs.batch, interrupt)
        else:
            ids = self.world.rows.of_batch[self.batch(self.model.runs.batch)[1]]
            self.cancel(self.world.rows.jobs[ids[self.model.runs.job]], interrupt=interrupt)

    def cancel(self, job: Job, *, interrupt: bool) -> None:
        number = list(self.world.rows.batches).index(job.batch_id)
        chosen = JobFilter.model_construct(ids=[job.id])
        verdicts = self.asked(
            cancel.cancel_jobs, PROJECT, job.batch_id, chosen, interrupt=interrupt
        )
        expected = self.model.cancel_job(number, job.ordinal - 1, interrupt=interrupt)
        assert verdicts == [(job.id, expected)]
        self.go_on()

    @precondition(lambda self: self.model.batches)
    @rule(which=st.integers(0, 5), interrupt=st.booleans())
    def cancel_batch(self, which: int, interrupt: bool) -> None:
        number, batch = self.batch(which)
        done = self.asked(cancel.cancel_batch, PROJECT, batch, interrupt=interrupt)
        assert done == self.model.cancel_batch(number, interrupt=interrupt)
        self.go_on()

    @precondition(lambda self: any(b.status == "CANCELED" for b in self.model.batches))
    @rule(which=st.integers(0, 5))
    def revive(self, which: int) -> None:
        canceled = [n for n, b in enumerate(self.model.batches) if b.status == "CANCELED"]
        number, batch = self.batch(canceled[which % len(canceled)])
        assert self.asked(revive.revive, PROJECT, batch) == self.model.revive(number)
        self.go_on()

    @precondition(lambda self: self.model.runs is None)
    @rule()
    def nobody_does_anything(self) -> None:
        self.world.pass_time(IDLE_S)
        self.model.idle()
        self.go_on()

    # The device.

    @precondition(lambda self: self.model.next_job() is not None)
    @rule(told=st.booleans())
    def begin(self, told: bool) -> None:
        """Not `told`: what it says of it is lost."""
        self.worker.may_begin, self.worker.mute = True, not told
        for _ in range(LONG):
            self.go_on(1)
            if self.worker.at is not None:
                break
        expected = self.model.next_job()
        assert expected is not None
        assert self.on_device() == expected
        self.model.begin(expected, told=told)
        self.go_on()

    def on_device(self) -> OnDevice | None:
        if self.worker.at is None:
            return None
        job = self.world.rows.jobs[self.worker.at[0]]
        return OnDevice(list(self.world.rows.batches).index(job.batch_id), job.ordinal - 1)

    @precondition(lambda self: self.model.runs is not None and self.model.online)
    @rule(well=st.booleans(), then=st.sampled_from(("it says so", "its word is lost", "it dies")))
    def finish(self, well: bool, then: str) -> None:
        self.worker.word = Returned(b"{}") if well else Broke("it failed")
        self.worker.step()
        if then == "it dies":
            self.worker.boot()
        elif then == "its word is lost" and not self.more_is_staged():
            self.worker.step()
            self.world.broker.control.clear()
        self.model.end("DONE" if well else "ERROR")
        self.go_on()

    def more_is_staged(self) -> bool:
        """Then what was lost is missed only when the device has nothing more to do."""
        return bool(self.world.broker.devices["lone"] or self.worker.prefetched)

    @precondition(lambda self: self.model.online)
    @rule()
    def crash(self) -> None:
        self.worker.boot()
        self.model.lose()
        self.go_on()

    @rule()
    def lose_what_was_sent(self) -> None:
        self.world.broker.devices["lone"].clear()
        self.go_on()

    @precondition(lambda self: self.model.online)
    @rule()
    def fall_silent(self) -> None:
        self.worker.deaf_until = NEVER
        self.model.fall_silent()
        self.go_on(LONG)

    @precondition(lambda self: not self.model.online)
    @rule()
    def come_back(self) -> None:
        self.worker.deaf_until = 0.0
        self.model.come_back()
        self.go_on(LONG)

    # The operator.

    @rule()
    def pause(self) -> None:
        self.asked(pause, "lone", "maintenance")
        self.model.pause()
        self.go_on()

    @precondition(lambda self: self.model.paused)
    @rule()
    def resume(self) -> None:
        self.asked(resume, "lone")
        self.model.resume()
        self.go_on()

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        rows = self.world.rows
        seen = [
            (row.status, row.open, [rows.jobs[job].status for job in rows.of_batch[row.id]])
            for row in rows.batches.values()
        ]
        assert seen == [(b.status, b.open, b.jobs) for b in self.model.batches]
        device = rows.devices[1]
        seat = None if device.seat is None else list(rows.batches).index(device.seat)
        assert (seat, device.online) == (self.model.seat, self.model.online)


def _new_batch(number: int, is_open: bool, priority: int) -> NewBatch:
    return NewBatch(
        id=f"b{number}",  # type: ignore[arg-type]
        project_id=PROJECT,
        user_id=None,
        parent_id=None,
        name=None,
        device_type="LONE",
        device_name=None,
        open=is_open,
        priority=priority,
        preemptible=not is_open,
        lanes=1,
        idle_timeout_s=IDLE_S / 2,
        max_duration_s=None,
        tags=(),
        shared={},
    )


def _jobs(n: int) -> list[NewJob]:
    return [NewJob({"s": 0.0, "fails": False})] * n


SMALL: Final = settings(
    max_examples=1000,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
MISTAKES: Final = [
    (cancel, "_after(core, tx, batch)", "pass"),
    (cancel, " | taken", ""),
    (close, "if row.jobs_left == 0:", "if False:"),
    (advance, "return outranked", "return False"),
    (place, "revoke(core, tx, core.windows.in_flight(tx, device.id))", "pass"),
    (seat, "seat.jobs_left == 0 and not seat.open", "seat.jobs_left == 0"),
    (seat, "seat.paused or seat.outranked", "seat.outranked"),
    (settling, "if core.moves.start_job(", "if False and core.moves.start_job("),
]


@pytest.mark.parametrize(("module", "sound", "mistaken"), MISTAKES)
def test_the_model_notices_a_mistake(module: ModuleType, sound: str, mistaken: str) -> None:
    with without(module, sound, mistaken), pytest.raises((AssertionError, Violation)):
        run_state_machine_as_test(Plane, settings=SMALL)


TestModel = Plane.TestCase
TestModel.settings = settings(
    max_examples=600, stateful_step_count=40, deadline=None, print_blob=True
)
