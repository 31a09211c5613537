"""A call with an Idempotency-Key is done once, however often it is sent."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from orchestrator.api import posting
from orchestrator.errors import Unavailable
from orchestrator.services.core import Core
from orchestrator.store import submissions
from tests.integration.api_stack import Api, add_device, batch_body, counts, new_key, serving
from tests.integration.puppet import OTHER_PROJECT

REPLAYED = "Idempotency-Replayed"


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    add_device(core, "dev-1")
    with serving(core) as api:
        yield api


def keyed(api: Api, path: str, body: Any = None, key: str = "once") -> httpx.Response:
    return api.call("POST", path, body, headers={"Idempotency-Key": key})


def test_a_repeated_call_is_answered_again_and_not_done_again(api: Api) -> None:
    first, second = (keyed(api, "/v1/batches", batch_body(2)) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second.headers["Location"] == first.headers["Location"]
    assert (REPLAYED in first.headers, second.headers[REPLAYED]) == (False, "true")
    assert counts(api.core)["batch"] == 1


POSTS: list[tuple[str, Any]] = [
    ("/v1/batches/{batch}/jobs", {"jobs": [{}, {}]}),
    ("/v1/batches/{batch}/close", None),
    ("/v1/batches/{batch}/cancel", None),
    ("/v1/batches/{batch}/jobs/cancel", {"filter": {"statuses": ["PENDING"]}}),
    ("/v1/batches/{closed}/rebatch", None),
    ("/v1/batches/{canceled}/revive", None),
    ("/v1/jobs/{job}/cancel", None),
    ("/v1/jobs/{job}/retry", None),
    ("/v1/devices/dev-1/pause", {"reason": "calibration"}),
    ("/v1/devices/dev-1/drain", {"reason": "calibration"}),
    ("/v1/devices/dev-1/resume", None),
]


@pytest.mark.parametrize(("path", "body"), POSTS)
def test_every_verb_can_be_repeated(api: Api, path: str, body: Any) -> None:
    open_batch, closed, canceled = api.batch(open=True), api.batch(), api.batch()
    api.post(f"/v1/batches/{canceled['id']}/cancel")
    where = path.format(
        batch=open_batch["id"],
        closed=closed["id"],
        canceled=canceled["id"],
        job=open_batch["jobs"][0]["id"],
    )
    first = keyed(api, where, body)
    after = counts(api.core)
    second = keyed(api, where, body)
    assert first.is_success, first.text
    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert second.headers[REPLAYED] == "true"
    assert counts(api.core) == after


def test_a_key_used_for_another_request_is_refused(api: Api) -> None:
    keyed(api, "/v1/batches", batch_body(1))
    before = counts(api.core)
    other_body = keyed(api, "/v1/batches", batch_body(2))
    other_path = keyed(api, "/v1/batches/cancel", batch_body(1))
    assert (other_body.status_code, other_body.json()["code"]) == (409, "idempotency_key_reused")
    assert other_path.status_code in (409, 422)
    assert counts(api.core) == before


def test_two_projects_may_use_the_same_key(api: Api) -> None:
    keyed(api, "/v1/batches", batch_body())
    stranger = new_key(api.core, project=OTHER_PROJECT)
    headers = {"Idempotency-Key": "once"}
    answer = api.call("POST", "/v1/batches", batch_body(), key=stranger, headers=headers)
    assert (answer.status_code, REPLAYED in answer.headers) == (201, False)


def test_twins_that_arrive_together_make_one_batch(api: Api) -> None:
    together = threading.Barrier(6)

    def send(_: int) -> httpx.Response:
        together.wait(timeout=10)
        return keyed(api, "/v1/batches", batch_body(50))

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(send, range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum(REPLAYED in answer.headers for answer in answers) == 5
    assert (counts(api.core)["batch"], counts(api.core)["job"]) == (1, 50)


def test_a_refused_call_leaves_its_key_free(api: Api) -> None:
    assert keyed(api, "/v1/batches", batch_body(jobs=0)).status_code == 422
    assert keyed(api, "/v1/batches", batch_body(1)).status_code == 201


def test_an_answer_lost_after_the_commit_is_had_by_asking_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise Unavailable("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr(posting, "reading", broken)
        assert keyed(api, "/v1/batches", batch_body()).status_code == 503
    again = keyed(api, "/v1/batches", batch_body())
    assert (again.status_code, again.headers[REPLAYED]) == (201, "true")
    assert counts(api.core)["batch"] == 1


def test_a_crash_before_the_report_is_kept_leaves_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise Unavailable("the database went away")

    before = counts(api.core)
    with monkeypatch.context() as patch:
        patch.setattr(submissions, "keep", broken)
        assert keyed(api, "/v1/batches", batch_body()).status_code == 503
    assert counts(api.core) == before


def test_a_replay_shows_how_things_stand_now(api: Api) -> None:
    created = keyed(api, "/v1/batches", batch_body(open=True)).json()
    api.post(f"/v1/batches/{created['id']}/jobs", {"jobs": [{}]})
    replay = keyed(api, "/v1/batches", batch_body(open=True)).json()
    assert (replay["jobs_total"], len(replay["jobs"])) == (2, 1)


def test_a_new_key_is_made_once_and_its_secret_never_told_again(api: Api) -> None:
    body = {"name": "laptop", "scopes": ["read"]}
    made = keyed(api, "/v1/keys", body).json()
    again = keyed(api, "/v1/keys", body)
    assert (again.status_code, again.json()["code"]) == (409, "key_shown_once")
    assert made["id"] in again.json()["detail"]
