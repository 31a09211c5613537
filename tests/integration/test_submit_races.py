"""What happens to a submission, or to twins, while somebody else changes what they rely on."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from orchestrator.config import Settings
from orchestrator.services.cancel import cancel_batch
from orchestrator.services.core import Core
from orchestrator.services.share import share
from orchestrator.store import computations
from orchestrator.store.transaction import Transaction
from tests.integration.api_stack import Api
from tests.integration.puppet import PROJECT
from tests.integration.submit_stack import (
    add_controller,
    count,
    door,
    ids,
    own,
    statuses,
    submit,
    water,
    waters,
)
from tests.waiting import until


def execute(tx: Transaction, sql: str, **given: object) -> None:
    tx.connection.execute(text(sql), given)


def batch_of(api: Api, job: str) -> UUID:
    return UUID(api.get(f"/v1/jobs/{job}")["batch_id"])


@contextmanager
def meanwhile(core: Core, pool: ThreadPoolExecutor, do: Any) -> Iterator[tuple[Transaction, Any]]:
    """A transaction that has what `do` waits for: gives both, once `wait` was called."""
    with core.transaction() as tx:
        started: list[Future[Any]] = []

        def wait() -> Future[Any]:
            started.append(pool.submit(do))
            until(lambda: waiting(core))
            return started[0]

        yield tx, wait


def waiting(core: Core) -> int:
    return count(
        core, "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )


def test_a_target_that_is_removed_while_a_submission_waits_for_it_is_unknown(
    settings: Settings,
) -> None:
    with door(settings) as (api, _), ThreadPoolExecutor(1) as pool:
        add_controller(api.core)
        entries = [*waters(1), {"job": water(1), "compute_target": "dgx"}]
        with meanwhile(api.core, pool, lambda: submit(api, entries)) as (tx, wait):
            execute(tx, "UPDATE controller SET removed_at = now()")
            answer = wait()
        report = answer.result(10)
        assert statuses(report) == ["submitted", "failed"]
        assert report["jobs"][1]["error"] == "Unknown compute target 'dgx'"
        assert count(api.core, "computation") == count(api.core, "job") == 1


def test_what_is_submitted_to_a_target_while_that_is_removed_is_not_left_waiting(
    settings: Settings,
) -> None:
    with door(settings) as (api, _), ThreadPoolExecutor(1) as pool:
        add_controller(api.core)
        first = submit(api, waters(1, compute_target="dgx"))
        batch = batch_of(api, ids(first)[0])

        def remove() -> Any:
            return api.call("DELETE", "/api/v1/compute-targets/dgx", params={"force": "true"})

        with meanwhile(api.core, pool, remove) as (tx, wait):
            api.core.batches.lock(tx, batch)
            answer = wait()
            late = submit(api, [{"job": water(1), "compute_target": "dgx"}])
            assert statuses(late) == ["submitted"]
        assert answer.result(10).status_code == 204
        assert own(api, ids(late)[0])["state"] == "cancelled"


def test_who_takes_over_a_key_for_another_target_leaves_those_that_wait_where_they_are(
    settings: Settings,
) -> None:
    with door(settings) as (api, puppet):
        add_controller(api.core, online=False)
        leader, follower = ids(submit(api, [*waters(1), *waters(1)]))
        api.post(f"/v1/batches/{batch_of(api, leader)}/cancel", {})
        submit(api, waters(1, compute_target="dgx"))
        share(api.core)
        puppet.serve_all()
        share(api.core)
        assert own(api, follower)["state"] == "done"


def test_a_twins_cancel_and_a_cancel_of_both_batches_never_lock_each_other_out(
    settings: Settings,
) -> None:
    with door(settings) as (api, _), ThreadPoolExecutor(1) as pool:
        leader, follower = ids(submit(api, [*waters(1), *waters(1)]))
        api.post(f"/api/v1/jobs/{leader}/cancel")
        batches = [batch_of(api, leader), batch_of(api, follower)]

        def last() -> Any:
            return api.call("POST", f"/api/v1/jobs/{follower}/cancel")

        with meanwhile(api.core, pool, last) as (tx, wait):
            cancel_batch(api.core, tx, PROJECT, batches[0], interrupt=False)
            answer = wait()
            api.core.batches.lock(tx, batches[1])
        assert answer.result(10).status_code == 200
        assert own(api, follower)["state"] == "cancelled"


def test_a_key_whose_result_is_withdrawn_while_it_is_claimed_is_claimed_anew(
    settings: Settings,
) -> None:
    with door(settings) as (api, _), ThreadPoolExecutor(1) as pool:
        core, keys = api.core, {bytes([n]) * 32: uuid4() for n in (1, 2)}
        first, second = keys

        def claim(*wanted: bytes) -> dict[bytes, Any]:
            with core.transaction() as tx:
                return computations.claim(tx, PROJECT, {key: keys[key] for key in wanted})

        old = claim(first)[first].id
        with meanwhile(core, pool, lambda: claim(first, second)) as (tx, wait):
            computations.claim(tx, PROJECT, {second: keys[second]})
            found = wait()
            with core.transaction() as other:
                execute(other, "UPDATE computation SET withdrawn = true WHERE id = :id", id=old)
        assert set(found.result(10)) == {first, second}
        assert found.result()[first].id != old
