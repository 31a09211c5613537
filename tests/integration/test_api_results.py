"""Results over HTTP: the text that the device gave, by whichever way it came."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from orchestrator.services.core import Core
from orchestrator.services.outcomes import as_text
from orchestrator.store import results
from schemas.task import Done, JobTask, Result
from tests.integration.api_stack import Api, serving
from tests.integration.puppet import Puppet, done, failed


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    with serving(core) as api:
        yield api


def gave(task: JobTask, value: Any) -> Done:
    text = as_text(value).encode()
    sha256 = hashlib.sha256(text).hexdigest()
    result = Result(value=value, size=len(text), sha256=sha256)
    return done(task).model_copy(update={"result": result})


def stored(api: Api, task: JobTask, text: bytes) -> Done:
    """As a worker does with a large one."""
    ref = f"results/{task.job}/{task.run}.json"
    path = Path(urlsplit(api.core.settings.store_url).path) / ref
    path.parent.mkdir(parents=True)
    path.write_bytes(text)
    result = Result(ref=ref, size=len(text), sha256=hashlib.sha256(text).hexdigest())
    return done(task).model_copy(update={"result": result})


def test_a_result_is_the_text_that_its_hash_is_of(api: Api, puppet: Puppet) -> None:
    job = api.batch()["jobs"][0]
    window = puppet.take()
    value = {"counts": {"00": 3, "11": 4}, "x": [1.5e-300, "é", None]}
    puppet.answer(window, gave(window.jobs[0], value))
    answer = api.call("GET", f"/v1/jobs/{job['id']}/result")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == value
    assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'


def test_a_result_in_the_object_store_is_sent_as_it_is(api: Api, puppet: Puppet) -> None:
    job = api.batch()["jobs"][0]
    window = puppet.take()
    text = b'{"bits": "' + b"01" * 500_000 + b'"}'
    puppet.answer(window, stored(api, window.jobs[0], text))
    answer = api.call("GET", f"/v1/jobs/{job['id']}/result")
    assert (answer.status_code, answer.content == text) == (200, True)
    assert answer.headers["Content-Length"] == str(len(text))


def test_a_result_that_the_caller_has_is_not_sent_again(api: Api, puppet: Puppet) -> None:
    job = api.batch()["jobs"][0]
    puppet.serve_all()
    path = f"/v1/jobs/{job['id']}/result"
    tag = api.call("GET", path).headers["ETag"]
    again = api.call("GET", path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_a_lost_object_is_said_to_be_lost(api: Api, puppet: Puppet) -> None:
    job = api.batch()["jobs"][0]
    window = puppet.take()
    puppet.answer(window, stored(api, window.jobs[0], b"{}"))
    for path in Path(urlsplit(api.core.settings.store_url).path).rglob("*.json"):
        path.unlink()
    answer = api.call("GET", f"/v1/jobs/{job['id']}/result")
    assert (answer.status_code, "object store" in answer.json()["detail"]) == (404, True)


def test_a_job_that_is_not_done_has_no_result_and_says_why(api: Api, puppet: Puppet) -> None:
    broken, waiting = api.batch()["jobs"][0], api.batch()["jobs"][0]
    window = puppet.take()
    puppet.answer(window, failed(window.jobs[0], "the laser is off"))
    for job, words in ((broken, ["ERROR", "the laser is off"]), (waiting, ["PENDING", "yet"])):
        answer = api.call("GET", f"/v1/jobs/{job['id']}/result")
        assert (answer.status_code, answer.json()["code"]) == (409, "result_not_ready")
        assert all(word in answer.json()["detail"] for word in words)


def test_a_batchs_results_tell_of_each_job_in_order(api: Api, puppet: Puppet) -> None:
    created = api.batch(3, open=True)
    window = puppet.take()
    puppet.answer(window, *[gave(task, {"n": task.ordinal}) for task in window.jobs])
    window = puppet.take()
    puppet.answer(window, *[failed(task, "it broke") for task in window.jobs])
    items = api.get(f"/v1/batches/{created['id']}/results")["items"]
    assert [item["ordinal"] for item in items] == [1, 2, 3]
    assert items[0]["result"] == {"n": 1}
    told = {item["status"]: (item["reason"], item["result_url"]) for item in items[1:]}
    assert told["ERROR"] == ("it broke", None)


def test_a_result_too_large_for_a_page_is_had_by_its_url(api: Api, puppet: Puppet) -> None:
    created = api.batch()
    window = puppet.take()
    puppet.answer(window, stored(api, window.jobs[0], b'{"large": true}'))
    (item,) = api.get(f"/v1/batches/{created['id']}/results")["items"]
    assert item["result"] is None
    assert api.get(item["result_url"]) == {"large": True}


def test_a_page_of_results_is_cut_by_bytes_but_never_empty(
    api: Api, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = api.batch(3)
    while puppet.inbox:
        window = puppet.take()
        puppet.answer(window, *[gave(task, {"x": "y" * 100}) for task in window.jobs])
    monkeypatch.setattr(results, "PAGE_BYTES", 50)
    path, found, cursor = f"/v1/batches/{created['id']}/results", [], None
    while True:
        page = api.get(path, **({"cursor": cursor} if cursor else {}))
        found.append([item["ordinal"] for item in page["items"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [[1], [2], [3]]
