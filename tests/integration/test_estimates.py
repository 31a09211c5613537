"""Estimates from a real history: learned once, foretold, held against what came."""

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import typer
from holdfast import Client
from typer.testing import CliRunner

from orchestrator.commands import register_all
from orchestrator.errors import NotFound
from orchestrator.services.cancel import cancel_batch
from orchestrator.services.core import Core
from orchestrator.services.device import pause
from orchestrator.services.estimate import estimate, next_up
from orchestrator.services.learn import learn
from orchestrator.services.submit import submit
from orchestrator.store.listings_reading import reading
from schemas.batch import BatchIn
from schemas.estimate import Estimate
from tests.integration.api_stack import Api, new_key, serving
from tests.integration.puppet import (
    OTHER_PROJECT,
    PROJECT,
    TYPE,
    Puppet,
    call,
    done,
    job_bodies,
    new_batch,
)

Sql = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    with serving(core) as api:
        yield api


def look(core: Core) -> None:
    learn(core, apart=timedelta(0))


def lived(core: Core, puppet: Puppet, *took_s: float, **fields: Any) -> None:
    """A batch whose jobs took so long."""
    new_batch(core, len(took_s), **fields)
    left = list(took_s)
    while left:
        window = puppet.take()
        puppet.answer(window, *[done(task, took_s=left.pop(0)) for task in window.jobs])


def paces(sql: Sql) -> dict[str, list[float]]:
    found = sql.execute("SELECT what, seconds FROM pace").fetchall()
    return {str(what): seconds for what, seconds in found}  # type: ignore[misc]


def of(core: Core, batch: UUID, project: UUID = PROJECT) -> Estimate:
    with reading(core.engine) as connection:
        return estimate(connection, project, batch)


def later_s(found: Estimate, moment: datetime | None) -> float:
    assert moment is not None
    return (moment - found.at).total_seconds()


def has_waited(sql: Sql, batch: UUID) -> None:
    sql.execute("UPDATE batch SET created_at = created_at - interval '5 s' WHERE id = %s", (batch,))


def codes(found: Estimate) -> list[str]:
    return [reason.code.value for reason in found.why.reasons]


def test_a_waiting_batch_begins_when_those_ahead_of_it_have_taken_what_others_took(
    core: Core, puppet: Puppet
) -> None:
    lived(core, puppet, 10, 10, 10)
    look(core)
    new_batch(core, 2)
    between, last = new_batch(core, 3), new_batch(core)
    found = of(core, last)
    assert found.start is not None and found.end is not None
    assert later_s(found, found.start.p50) == pytest.approx(50, abs=1)
    assert later_s(found, found.end.p90) == pytest.approx(60, abs=1)
    assert (found.samples, codes(found)) == (3, ["queued", "device_busy"])
    assert of(core, between).why.sentence == "it is next; device dev-1 is busy"


def test_a_program_is_estimated_by_its_own_past(core: Core, puppet: Puppet) -> None:
    lived(core, puppet, 1, 1, 1, payload={"program": "short"})
    lived(core, puppet, 100, 100, 100, payload={"program": "long"})
    look(core)
    found = of(core, new_batch(core, payload={"program": "long"}))
    assert found.end is not None
    assert later_s(found, found.end.p50) == pytest.approx(100, abs=1)
    other = of(core, new_batch(core, payload={"program": "new"}))
    assert (found.samples, other.samples) == (3, 6)


def test_what_happened_is_learned_once_though_two_look(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    lived(core, puppet, *[2.0] * 70)
    other = Core.start(core.settings)
    threads = [threading.Thread(target=look, args=[each]) for each in (core, other, core, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    look(core)
    other.close()
    lived(core, puppet, 3.0)
    look(core)
    assert paces(sql)[""] == pytest.approx([2.0] * 63 + [3.0], abs=0.01)


def test_nobody_looks_again_at_once(core: Core, puppet: Puppet, sql: Sql) -> None:
    look(core)
    lived(core, puppet, 1.0)
    learn(core, apart=timedelta(hours=1))
    assert "" not in paces(sql)


def test_the_stay_of_an_open_batch_is_learned_when_it_ends(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    batch = new_batch(core, 1, open=True)
    puppet.serve_all()
    found = of(core, new_batch(core))
    assert codes(found) == ["queued", "held_by_open_batch", "not_learned"]
    (held,) = (each for each in found.why.reasons if each.code == "held_by_open_batch")
    assert held.model_dump()["idle_deadline"] is not None
    assert "held by an open batch, which times out at" in found.why.sentence
    sql.execute(
        "UPDATE batch SET status = 'TIMED_OUT', ended_at = admitted_at + interval '40 s',"
        " idle_deadline = NULL WHERE id = %s",
        (batch,),
    )
    sql.execute("INSERT INTO event (batch_id, kind) VALUES (%s, 'idled')", (batch,))
    look(core)
    assert paces(sql)["stay"] == [40.0]


def test_a_start_is_held_against_what_was_foretold(core: Core, puppet: Puppet, sql: Sql) -> None:
    lived(core, puppet, 30, 30, 30)
    new_batch(core)
    early, gone = new_batch(core), new_batch(core)
    for batch in (early, gone):
        has_waited(sql, batch)
    look(core)
    rows = sql.execute("SELECT batch_id FROM prediction").fetchall()
    assert {row[0] for row in rows} == {early, gone}
    assert of(core, gone).hit_rate is None
    call(core, cancel_batch, PROJECT, gone, interrupt=False)
    puppet.serve_all()
    look(core)
    found = of(core, early)
    assert found.hit_rate is not None
    assert found.hit_rate.model_dump() == {"p50": 1.0, "p90": 1.0, "of": 1}
    assert sql.execute("SELECT batch_id FROM prediction").fetchall() == [(early,)]


def test_a_start_that_came_later_than_foretold_counts_as_missed(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    lived(core, puppet, 30, 30, 30)
    new_batch(core)
    late = new_batch(core)
    has_waited(sql, late)
    look(core)
    sql.execute("UPDATE prediction SET start_p50 = start_p50 - interval '1 day'")
    puppet.serve_all()
    look(core)
    rate = of(core, late).hit_rate
    assert rate is not None and (rate.p50, rate.p90) == (0.0, 1.0)


def test_only_the_last_five_hundred_of_a_type_are_kept(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    lived(core, puppet, 1, 1, 1)
    new_batch(core)
    waits = new_batch(core)
    has_waited(sql, waits)
    look(core)
    many = [uuid4() for _ in range(510)]
    sql.execute(
        "INSERT INTO batch (id, project_id, device_type, open, preemptible, idle_timeout_s,"
        " shared, status, ended_at) SELECT id, %s, %s, false, true, 1, '{}', 'DONE', now()"
        " FROM unnest(%s::uuid[]) AS id",
        (PROJECT, TYPE, many),
    )
    sql.execute(
        "INSERT INTO prediction (batch_id, device_type, program, start_p50, start_p90, started_at)"
        " SELECT id, %s, '', now(), now(), now() - interval '1 day' FROM unnest(%s::uuid[]) AS id",
        (TYPE, many),
    )
    puppet.serve_all()
    look(core)
    assert sql.execute("SELECT count(*) FROM prediction").fetchone() == (500,)


def test_behind_a_long_queue_the_crowd_counts(core: Core, puppet: Puppet) -> None:
    lived(core, puppet, 10, 10, 10)
    look(core)
    new_batch(core)
    ahead = [new_batch(core) for _ in range(130)]
    found = of(core, new_batch(core))
    assert found.start is not None
    assert later_s(found, found.start.p50) == pytest.approx(10 * (len(ahead) + 1), rel=0.02)


def test_a_paused_device_gives_no_figures_but_the_reason(core: Core, puppet: Puppet) -> None:
    lived(core, puppet, 10, 10, 10)
    look(core)
    call(core, pause, puppet.device, "laser calibration")
    found = of(core, new_batch(core))
    assert (found.start, found.end) == (None, None)
    assert found.why.sentence == "device dev-1 is paused: laser calibration"
    assert codes(found) == ["queued", "device_paused"]


def test_a_running_batch_has_an_end_and_one_that_is_over_its_real_times(
    core: Core, puppet: Puppet
) -> None:
    lived(core, puppet, 10, 10, 10)
    look(core)
    batch = new_batch(core, 2)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    found = of(core, batch)
    assert found.end is not None and codes(found) == ["seated"]
    assert later_s(found, found.end.p50) == pytest.approx(20, abs=1)
    puppet.answer(window, *[done(task) for task in window.jobs])
    puppet.serve_all()
    over = of(core, batch)
    assert over.start == found.start
    assert over.end is not None and over.end.p50 == over.end.p90 <= over.at
    assert (codes(over), over.why.sentence) == (["ended"], "it is over: DONE")


def test_others_are_counted_and_never_named(core: Core, puppet: Puppet, api: Api) -> None:
    lived(core, puppet, 10, 10, 10)
    look(core)
    theirs = [
        call(
            core, submit, OTHER_PROJECT, None, BatchIn(device_type=TYPE, jobs=job_bodies(1), **more)
        )
        for more in ({"open": True, "name": "secret-name"}, {"priority": 3})
    ]
    mine = new_batch(core)
    answer = api.call("GET", f"/v1/batches/{mine}/estimate")
    body = answer.json()
    assert body["why"]["reasons"] == [
        {"code": "queued", "ahead": 1, "higher_priority": 1},
        {"code": "held_by_open_batch", "device": "dev-1", "idle_deadline": None},
    ]
    assert body["start"]["p50"] <= body["start"]["p90"] <= body["end"]["p90"]
    told = {str(OTHER_PROJECT), "secret-name", *map(str, theirs)}
    assert not [each for each in told if each in answer.text]
    other = new_key(core, project=OTHER_PROJECT)
    assert api.call("GET", f"/v1/batches/{mine}/estimate", key=other).status_code == 404
    with pytest.raises(NotFound):
        of(core, mine, OTHER_PROJECT)
    with reading(core.engine) as connection:
        line = next_up(connection, PROJECT, TYPE)
    assert [each.batch_id for each in line] == [None, mine]
    assert line[1].start is not None and line[0].start is not None
    assert line[0].start.p50 < line[1].start.p50


def test_the_client_and_the_command_tell_it(core: Core, puppet: Puppet, api: Api) -> None:
    lived(core, puppet, 10, 10, 10)
    look(core)
    new_batch(core, 2)
    batch = new_batch(core)
    with Client(api.url, api.key) as client:
        found = client.attach(str(batch)).estimate()
    assert found.start is not None and found.hit_rate is None
    assert 19 < (found.start.p50 - found.at).total_seconds() < 21
    assert [reason["code"] for reason in found.reasons] == ["queued", "device_busy"]
    words = ["estimate", str(batch), "--url", api.url, "--api-key", api.key]
    app = typer.Typer()
    register_all(app)
    shown = CliRunner().invoke(app, words).stdout
    assert "it is next; device dev-1 is busy" in shown and "begins" in shown
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert told["why"]["sentence"] == found.why and told["samples"] == found.samples == 3
