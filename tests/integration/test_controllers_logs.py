"""What a run leaves on its way: its log, its checkpoints."""

import base64
import gzip
import hashlib
from typing import Any

import httpx
import pytest

from orchestrator.services.core import Core
from orchestrator.services.remote import logs
from schemas.controller import CHECKPOINT_BYTES, LOG_CHUNK_BYTES
from tests.integration.api_stack import new_key
from tests.integration.puppet import OTHER_PROJECT
from tests.integration.remote_stack import Controller, Sql, controller, forget, look_around


def read(one: Controller, lease: dict[str, Any], **query: Any) -> dict[str, Any]:
    page: dict[str, Any] = one.api.get(f"/api/v1/jobs/{lease['job_id']}/logs", **query)
    return page


def keep(one: Controller, lease: dict[str, Any], content: bytes, **fields: Any) -> httpx.Response:
    body = {
        "epoch": lease["epoch"],
        "seq": 1,
        "sha256": hashlib.sha256(content).hexdigest(),
        "blob": base64.b64encode(content).decode(),
    }
    path = f"/api/v1/assignments/{lease['assignment_id']}/checkpoint"
    return one.call("PUT", path, body | fields)


def test_a_log_is_read_by_whose_job_it_is_while_it_grows(core: Core) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        assert one.log(lease, b"cycle 1\n").json() == {"next_seq": 1}
        assert read(one, lease)["text"] == "cycle 1\n"
        one.log(lease, b"cycle 2\n", 1, 8)
        assert read(one, lease, seq=1)["text"] == "cycle 2\n"
        path = f"/api/v1/jobs/{lease['job_id']}/logs"
        assert (
            one.api.call("GET", path, key=new_key(core, project=OTHER_PROJECT)).status_code == 404
        )


def test_a_chunk_that_comes_again_is_passed_over_and_a_gap_is_told(core: Core) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        one.log(lease, b"once")
        assert one.log(lease, b"once").json() == {"next_seq": 1}
        gap = one.log(lease, b"later", 5, 50)
        assert gap.status_code == 409
        assert (gap.headers["expected-seq"], gap.headers["expected-offset"]) == ("1", "4")
        assert read(one, lease)["text"] == "once"


def test_a_log_of_another_epoch_is_refused(core: Core, sql: Sql) -> None:
    with controller(core) as one:
        one.submit()
        lost = one.begin()
        forget(sql, one)
        look_around(core)
        assert one.log(lost, b"still here").status_code == 409


@pytest.mark.parametrize(
    ("packed", "status"),
    [
        (gzip.compress(b"\0" * 50_000_000), 413),
        (b"x" * (LOG_CHUNK_BYTES + 1), 413),
        (b"not gzip", 422),
        (gzip.compress(b"cut short")[:-4], 422),
        (gzip.compress(b"one") + gzip.compress(b"two"), 422),
    ],
    ids=["bomb", "huge", "plain", "cut", "two"],
)
def test_a_log_that_lies_about_itself_is_refused_and_harms_no_job(
    core: Core, packed: bytes, status: int
) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        assert one.log(lease, b"", packed=packed).status_code == status
        assert one.complete(lease).status_code == 200


def test_no_run_writes_more_than_its_share(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LOG_BYTES", 100)
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        assert one.log(lease, b"x" * 90).status_code == 200
        assert one.log(lease, b"x" * 20, 1, 90).status_code == 413


def test_a_log_of_too_many_chunks_is_cut_off(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little is in each."""
    monkeypatch.setattr(logs, "LOG_CHUNKS", 2)
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        for seq in (0, 1):
            assert one.log(lease, b"", seq).status_code == 200
        assert one.log(lease, b"", 2).status_code == 413


def test_a_checkpoint_is_forgotten_also_when_who_settled_its_job_died_before(
    core: Core, sql: Sql
) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        keep(one, lease, b"step 40")
        sql.execute("CREATE TEMP TABLE kept AS SELECT * FROM checkpoint")
        one.complete(lease)
        sql.execute("INSERT INTO checkpoint SELECT * FROM kept")
        assert one.complete(lease).json()["replayed"] is True
        assert sql.execute("SELECT count(*) FROM checkpoint").fetchone() == (0,)


def test_how_far_a_job_is_can_be_seen_while_it_runs(core: Core) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()

        def said(**progress: float) -> float | None:
            item = {"assignment_id": lease["assignment_id"], "epoch": lease["epoch"]} | progress
            one.call("POST", "/api/v1/controllers/self/heartbeat", {"running": [item]})
            shown: float | None = one.api.get(f"/api/v1/jobs/{lease['job_id']}")["progress"]
            return shown

        assert [said(), said(progress=0.25), said()] == [None, 0.25, 0.25]
        one.complete(lease)
        assert one.api.get(f"/api/v1/jobs/{lease['job_id']}")["progress"] is None


def test_a_checkpoint_is_handed_to_the_next_run(core: Core, sql: Sql) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        assert keep(one, lease, b"step 40", seq=2).status_code == 204
        assert keep(one, lease, b"step 20", seq=1).status_code == 204
        forget(sql, one)
        look_around(core)
        assert keep(one, lease, b"step 60", seq=3).status_code == 409
        [again] = one.acquire()
        assert base64.b64decode(again["checkpoint"]["blob"]) == b"step 40"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"sha256": "0" * 64}, 422),
        ({"blob": "%%%"}, 422),
        ({"blob": None}, 422),
        ({"uri": "s3://b/k"}, 422),
        ({"blob": base64.b64encode(b"x" * (CHECKPOINT_BYTES + 1)).decode()}, 413),
    ],
    ids=["sum", "base64", "nothing", "both", "huge"],
)
def test_a_checkpoint_that_cannot_be_kept_says_why(
    core: Core, fields: dict[str, Any], status: int
) -> None:
    with controller(core) as one:
        one.submit()
        assert keep(one, one.begin(), b"x", **fields).status_code == status
