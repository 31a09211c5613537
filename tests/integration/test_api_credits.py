"""Credits and usage over HTTP, and the refusal of who lacks them, at both doors."""

import csv
import io
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from orchestrator.services.cancel import cancel_batch
from orchestrator.services.core import Core
from tests.integration.api_stack import Api, batch_body, counts, new_key, serving
from tests.integration.money import HOUR, balances, grant, priced, ran
from tests.integration.puppet import OTHER_PROJECT, PROJECT, Puppet, call, failed, new_batch

POOR = "/core-fast/api/v1/batches"


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    priced(core)
    grant(core, 10 * HOUR)
    with serving(core) as running:
        yield running


def test_a_balance_and_its_transfers_are_told(api: Api) -> None:
    batch = api.batch(3)
    assert api.get("/v1/credits") == {
        "available": 7 * HOUR,
        "held": 3 * HOUR,
        "spent": 0,
        "unit": "micro-credits",
    }
    held, granted = api.get("/v1/credits/transfers")["items"]
    assert (granted["kind"], granted["source"], granted["target"]) == (
        *("grant", "funding"),
        "available",
    )
    assert (held["kind"], held["amount"], held["batch_id"]) == ("hold", 3 * HOUR, batch["id"])


def test_transfers_come_in_pages(api: Api) -> None:
    for _ in range(4):
        api.batch(1)
    seen: list[int] = []
    cursor: dict[str, Any] = {}
    while True:
        page = api.get("/v1/credits/transfers", limit=2, **cursor)
        seen += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)


def test_another_project_sees_nothing_of_it(api: Api) -> None:
    api.batch(1)
    key = new_key(api.core, project=OTHER_PROJECT)
    assert api.call("GET", "/v1/credits", key=key).json()["held"] == 0
    assert api.call("GET", "/v1/credits/transfers", key=key).json()["items"] == []
    used = api.call("GET", "/api/v1/usage", key=key).json()
    assert (used["jobs_submitted"], used["keys"]) == (0, [])


def test_who_lacks_the_credits_is_told_the_numbers_and_leaves_nothing(api: Api) -> None:
    before = counts(api.core)
    sent = {"Idempotency-Key": str(uuid4())}
    answer = api.call("POST", "/v1/batches", batch_body(11), headers=sent)
    assert answer.status_code == 402
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert {name: told[name] for name in told if name != "detail"} == {
        "type": "about:blank",
        "title": "Insufficient balance",
        "status": 402,
        "code": "insufficient_balance",
        "errors": [],
        "required": 11 * HOUR,
        "available": 10 * HOUR,
        "shortfall": HOUR,
        "unit": "micro-credits",
        "billable_jobs": 11,
        "assumed_runtime_s": 3600,
    }
    assert counts(api.core) == before
    grant(api.core, HOUR)
    assert api.call("POST", "/v1/batches", batch_body(11), headers=sent).status_code == 201


def test_the_pasqal_door_says_so_in_its_own_words(api: Api) -> None:
    before = counts(api.core)
    body = {
        "device_type": "TEST",
        "project_id": str(PROJECT),
        "sequence_builder": "{}",
        "jobs": [{"runs": 10}] * 11,
    }
    answer = api.call("POST", POOR, body)
    assert answer.status_code == 402, answer.text
    told = answer.json()
    assert (told["status"], told["code"]) == ("fail", "402")
    assert told["data"]["type"] == "insufficient_balance"
    assert (told["data"]["required"], told["data"]["shortfall"]) == (11 * HOUR, HOUR)
    assert counts(api.core) == before


def test_a_cancel_at_the_pasqal_door_gives_everything_back(api: Api) -> None:
    batch = api.batch(4)["id"]
    assert balances(api.core)[1] == 4 * HOUR
    answer = api.call("PATCH", f"/core-fast/api/v2/batches/{batch}/cancel")
    assert answer.status_code == 200, answer.text
    assert balances(api.core) == (10 * HOUR, 0, 0)


def test_usage_is_by_key_and_by_day(api: Api) -> None:
    puppet = Puppet.online(api.core, "dev-1")
    api.batch(2)
    for end in (lambda task: ran(task, 1800), failed):
        window = puppet.take()
        puppet.answer(window, *[end(task) for task in window.jobs])
    old = new_batch(api.core, 3)
    call(api.core, cancel_batch, PROJECT, old, interrupt=False)
    used = api.get("/api/v1/usage", window="7d")
    assert (used["jobs_submitted"], used["failed"], used["cancelled"]) == (5, 1, 3)
    assert used["failure_pressure"] == 4
    assert 0.5 <= used["core_hours_billed"] < 0.501
    mine, unattributed = sorted(used["keys"], key=lambda key: key["name"])
    assert (mine["name"], mine["jobs_submitted"], mine["failed"]) == ("test", 2, 1)
    assert (unattributed["name"], unattributed["key_id"]) == ("unattributed", None)
    assert unattributed["cancelled"] == 3
    assert len(used["daily"]) == 14
    assert used["daily"][-1]["jobs_submitted"] + used["daily"][-2]["jobs_submitted"] == 5
    assert sum(day["captured"] for day in used["daily"]) == used["captured"]


def test_a_window_looks_back_no_further(api: Api) -> None:
    api.batch(2)
    with api.core.transaction() as tx:
        tx.connection.execute(text("UPDATE batch SET created_at = now() - interval '8 days'"))
    seen = {w: api.get("/api/v1/usage", window=w) for w in ("24h", "7d", "30d", "all")}
    assert [used["jobs_submitted"] for used in seen.values()] == [0, 0, 2, 2]
    assert api.call("GET", "/api/v1/usage", params={"window": "9d"}).status_code == 422


def test_usage_can_be_had_as_csv(api: Api) -> None:
    api.batch(3)
    answer = api.call("GET", "/api/v1/usage.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 14
    assert sum(int(row["jobs_submitted"]) for row in rows) == 3


def test_usage_shows_the_load_of_controllers(api: Api) -> None:
    batch = UUID(api.batch(3)["id"])
    with api.core.transaction() as tx:
        tx.connection.execute(
            text(
                "INSERT INTO controller (id, project_id, name, device_type, version, hostname,"
                " cores, memory_mb, lanes, slots, backends, labels)"
                " VALUES (:id, :p, 'dgx', 'TEST', '1', 'dgx', 8, 1, 3, '{}', '[]', '{}')"
            ),
            {"id": uuid4(), "p": PROJECT},
        )
        tx.connection.execute(
            text(
                "INSERT INTO entry (job_id, project_id, job_type, target, cores, memory_mb)"
                " SELECT id, project_id, 'x', 'dgx', 2, 1 FROM job WHERE batch_id = :b"
            ),
            {"b": batch},
        )
    puppet = Puppet.online(api.core, "dev-1")
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    used = api.get("/api/v1/usage")
    assert used["controller_jobs"] == 3
    assert used["controllers"] == [
        {
            "name": "dgx",
            "jobs_submitted": 3,
            "running_jobs": 1,
            "pending_jobs": 2,
            "cores": 8,
            "busy_cores": 2,
            "load": 0.25,
        }
    ]
