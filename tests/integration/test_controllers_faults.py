"""What may go wrong with a controller, and what becomes of its jobs then."""

from uuid import UUID

from orchestrator.services.cancel import cancel_batch, cancel_job
from orchestrator.services.core import Core
from orchestrator.services.remote.leave import deregister
from orchestrator.services.remote.register import digest_of
from orchestrator.store import controllers
from tests.integration.api_stack import serving
from tests.integration.puppet import PROJECT, call
from tests.integration.remote_stack import (
    Sql,
    controller,
    forget,
    look_around,
    register,
    registration,
    statuses,
    with_settings,
)


def test_the_job_of_a_controller_that_died_runs_again_and_its_late_end_counts_for_nothing(
    core: Core, sql: Sql
) -> None:
    with controller(core) as one:
        one.submit()
        lost = one.begin()
        forget(sql, one)
        look_around(core)
        assert one.job_of(lost)["status"] == "PENDING"
        assert one.beat(lost) == ["lost"]
        late = one.complete(lost)
        assert (late.status_code, "stale lease epoch" in late.text) == (409, True)
        lease = one.begin()
        assert lease["epoch"] > lost["epoch"]
        assert one.complete(lost).status_code == 409
        assert one.complete(lease).status_code == 200
        assert sql.execute("SELECT run FROM result").fetchall() == [(lease["epoch"],)]
        assert sql.execute("SELECT count(*) FROM event WHERE kind = 'late'").fetchone() != (0,)


def test_a_job_that_was_lost_on_three_runs_has_failed(core: Core, sql: Sql) -> None:
    with controller(core) as one:
        one.submit()
        for _ in range(3):
            assert one.api.get("/v1/jobs")["items"][0]["status"] == "PENDING"
            lease = one.begin()
            forget(sql, one)
            look_around(core)
        job = one.job_of(lease)
        assert (job["status"], job["reason"][:24]) == ("ERROR", "controller lost 3 times ")
        assert one.beat(lease) == ["lost"]


def test_a_silent_controller_is_offline_until_it_is_heard_again(core: Core, sql: Sql) -> None:
    with controller(core) as one:
        forget(sql, one)
        look_around(core)
        [target] = one.api.get("/api/v1/compute-targets")
        assert (target["online"], target["state"]) == (False, "offline")
        one.beat()
        [target] = one.api.get("/api/v1/compute-targets")
        assert (target["online"], target["state"]) == (True, "online")


def test_a_job_that_its_heartbeat_no_longer_names_is_lost_though_others_are_named(
    core: Core, sql: Sql
) -> None:
    with controller(core, lanes=2) as one:
        one.submit(2, lanes=2)
        alive, dead = one.acquire()
        assert one.start(alive).status_code == one.start(dead).status_code == 200
        sql.execute("UPDATE \"window\" SET lease_until = lease_until - interval '1 day'")
        assert one.beat(alive) == ["ok"]
        look_around(core)
        assert one.job_of(alive)["status"] == "RUNNING"
        assert one.job_of(dead)["status"] == "PENDING"


def test_a_job_past_its_deadline_fails_though_its_heartbeats_go_on(core: Core, sql: Sql) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        sql.execute("UPDATE job SET started_at = started_at - interval '2 hours'")
        assert one.beat(lease) == ["ok"]
        look_around(core)
        job = one.job_of(lease)
        assert (job["status"], job["reason"]) == ("ERROR", "ran past its deadline of 3600 s")
        assert one.beat(lease) == ["lost"]
        assert one.complete(lease).status_code == 409


def test_whoever_takes_the_name_makes_the_old_token_dead(core: Core) -> None:
    with controller(core) as one:
        new = one.again()
        assert new.said["session"] == one.said["session"] + 1
        assert new.said["controller_id"] == one.said["controller_id"]
        assert one.call("POST", "/api/v1/controllers/self/heartbeat", {}).status_code == 401
        new.submit()
        new.complete(new.begin())


def test_a_name_that_is_online_is_not_taken_over_by_whoever_does_not_want_to(core: Core) -> None:
    with controller(core) as one:
        path = "/api/v1/controllers/register"
        answer = one.api.call(
            "POST", path, registration(), key=one.runner, params={"takeover": "false"}
        )
        assert answer.status_code == 409
        assert one.beat() == []


def test_what_a_former_session_had_begun_comes_home_by_the_new_one(core: Core) -> None:
    with controller(core) as one:
        batch = one.submit(2)
        begun = one.begin()
        new = one.again()
        assert new.acquire() == []
        assert new.beat(begun) == ["ok"]
        assert new.complete(begun).status_code == 200
        new.complete(new.begin())
        assert statuses(new, batch) == ["DONE", "DONE"]


def test_what_a_former_session_was_only_offered_goes_to_the_new_one(core: Core) -> None:
    with controller(core) as one:
        one.submit()
        [offered] = one.acquire()
        new = one.again()
        assert new.start(offered).status_code in (404, 409)
        new.complete(new.begin())


def test_a_canceled_job_does_not_begin(core: Core) -> None:
    with controller(core) as one:
        one.submit()
        [lease] = one.acquire()
        call(core, cancel_job, PROJECT, UUID(lease["job_id"]), interrupt=True)
        assert one.start(lease).status_code == 410
        assert one.job_of(lease)["status"] == "CANCELED"


def test_a_cancel_reaches_a_running_job_by_the_heartbeat(core: Core) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        verdict = call(core, cancel_job, PROJECT, UUID(lease["job_id"]), interrupt=True)
        assert verdict == "interrupting"
        assert one.beat(lease) == ["cancel"]
        assert one.complete(lease, "cancelled").status_code == 200
        assert one.job_of(lease)["status"] == "CANCELED"
        assert one.beat(lease) == ["completed"]


def test_a_batch_that_is_canceled_without_an_interrupt_lets_what_runs_end(core: Core) -> None:
    with controller(core) as one:
        batch = one.submit(2)
        lease = one.begin()
        call(core, cancel_batch, PROJECT, UUID(batch), interrupt=False)
        assert one.beat(lease) == ["ok"]
        assert one.complete(lease).status_code == 200
        assert statuses(one, batch) == ["DONE", "CANCELED"]


def test_a_heartbeat_that_crosses_a_completion_is_told_so(core: Core) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        one.complete(lease)
        assert one.beat(lease) == ["completed"]


def test_a_cancel_after_redis_forgot_everything_still_cancels(core: Core) -> None:
    with controller(core) as one:
        one.submit()
        [lease] = one.acquire()
        core.permits.client.flushall()
        call(core, cancel_job, PROJECT, UUID(lease["job_id"]), interrupt=True)
        assert one.start(lease).status_code == 410
        look_around(core)
        assert one.job_of(lease)["status"] == "CANCELED"


def test_a_job_starts_after_redis_forgot_everything(core: Core) -> None:
    with controller(core) as one:
        one.submit()
        [lease] = one.acquire()
        core.permits.client.flushall()
        one.serve(lease)
        assert one.job_of(lease)["status"] == "DONE"


def test_a_server_that_died_and_one_that_takes_its_place_know_the_same(core: Core) -> None:
    with controller(core) as one:
        batch = one.submit(2)
        lease = one.begin()
    with serving(core, one.api.key) as api:
        one.api = api
        assert one.beat(lease) == ["ok"]
        assert one.complete(lease).status_code == 200
        one.complete(one.begin())
        assert statuses(one, batch) == ["DONE", "DONE"]


def test_forged_words_change_nothing(core: Core) -> None:
    with controller(core) as one:
        batch = one.submit(3)
        [lease] = one.acquire()
        job = lease["job_id"]
        for named in ("x", "..", f"{job}.2", f"{job}.0", job, f"{UUID(int=9)}.1"):
            forged = lease | {"assignment_id": named}
            assert one.start(forged).status_code in (404, 409), named
            assert one.complete(forged).status_code in (404, 409), named
        assert one.complete(lease).status_code == 409
        assert one.start(lease, epoch=7).status_code == 409
        assert statuses(one, batch) == ["PENDING"] * 3


def test_a_job_that_was_not_given_out_does_not_start(core: Core, sql: Sql) -> None:
    with controller(core, lanes=2) as one:
        one.submit(3, lanes=2)
        given = one.begin(free={"workload": 1})
        row = sql.execute(
            "SELECT id, run FROM job WHERE window_id IS NOT NULL AND id <> %s", (given["job_id"],)
        ).fetchone()
        assert row is not None
        forged = {"assignment_id": f"{row[0]}.{row[1]}", "epoch": row[1]}
        assert one.start(forged).status_code == 409


def test_after_fewer_lanes_the_rest_of_a_batch_is_done_on_those_that_are_left(core: Core) -> None:
    with controller(core, lanes=3) as one:
        batch = one.submit(6, lanes=3)
        new = one.again(lanes=1)
        for _ in range(6):
            new.complete(new.begin())
        assert statuses(new, batch) == ["DONE"] * 6


def test_a_machine_that_says_good_bye_leaves_its_jobs_to_its_return(core: Core) -> None:
    with controller(core) as one:
        batch = one.submit(2)
        lease = one.begin()
        assert one.call("POST", "/api/v1/controllers/self/deregister").status_code == 204
        assert one.call("POST", "/api/v1/controllers/self/heartbeat", {}).status_code == 401
        assert one.job_of(lease)["status"] == "PENDING"
        new = one.again()
        for _ in range(2):
            new.complete(new.begin())
        assert statuses(new, batch) == ["DONE", "DONE"]


def test_a_good_bye_that_a_successor_has_overtaken_takes_nothing_from_it(core: Core) -> None:
    with controller(core) as one:
        one.submit()
        with core.transaction() as tx:
            old = controllers.by_token(tx.connection, digest_of(one.said["token"]))
        assert old is not None
        new = one.again()
        lease = new.begin()
        deregister(core, old)
        assert new.beat(lease) == ["ok"]
        assert new.complete(lease).status_code == 200


def test_an_end_that_comes_too_late_is_noted_once_however_often_it_comes(
    core: Core, sql: Sql
) -> None:
    with controller(core) as one:
        one.submit()
        lost = one.begin()
        forget(sql, one)
        look_around(core)
        one.begin()
        for _ in range(5):
            assert one.complete(lost).status_code == 409
        assert sql.execute("SELECT count(*) FROM event WHERE kind = 'late'").fetchone() == (1,)


def test_a_lease_is_as_long_as_the_settings_say(core: Core) -> None:
    with_settings(core, controller_lease_s=7.0, controller_heartbeat_s=2.0, job_wall_s=11.0)
    with serving(core) as api:
        one = register(api)
        assert (one.said["lease_s"], one.said["heartbeat_s"]) == (7, 2)
        one.submit()
        [lease] = one.acquire()
        assert (lease["wall_s"], one.start(lease).json()["lease_s"]) == (11, 7)
