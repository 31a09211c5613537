"""Pages: every row once, whatever happens between two of them."""

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.services.core import Core
from tests.integration.api_stack import Api, add_device, serving


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    add_device(core, "dev-1")
    with serving(core) as api:
        yield api


def pages(api: Api, path: str, **params: Any) -> Iterator[list[Any]]:
    cursor: str | None = None
    for _ in range(100):
        page = api.get(path, **params, **({"cursor": cursor} if cursor else {}))
        yield page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return
    raise AssertionError("the listing has no end")


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_every_batch_is_listed_once_in_order(api: Api, order: str) -> None:
    made = [api.batch()["id"] for _ in range(7)]
    found = [b["id"] for page in pages(api, "/v1/batches", limit=3, order=order) for b in page]
    assert found == (made if order == "asc" else made[::-1])


def test_a_full_last_page_has_no_cursor(api: Api) -> None:
    for _ in range(4):
        api.batch()
    assert [len(page) for page in pages(api, "/v1/batches", limit=2)] == [2, 2]


def test_a_batch_made_between_two_pages_moves_no_other(api: Api) -> None:
    made = [api.batch()["id"] for _ in range(4)]
    listing = pages(api, "/v1/batches", limit=2)
    first = [b["id"] for b in next(listing)]
    api.batch()
    rest = [b["id"] for page in listing for b in page]
    assert first + rest == made[::-1]


@pytest.mark.parametrize("within", [True, False])
def test_every_job_is_listed_once_in_the_order_of_submission(api: Api, within: bool) -> None:
    batches = [api.batch(5) for _ in range(2)]
    chosen = batches[:1] if within else batches
    params = {"batch_id": batches[0]["id"]} if within else {}
    found = [j["id"] for page in pages(api, "/v1/jobs", limit=2, **params) for j in page]
    assert found == [job["id"] for batch in chosen for job in batch["jobs"]]


def test_a_cursor_of_another_listing_is_refused(api: Api) -> None:
    for _ in range(2):
        api.batch(2)
    cursor = api.get("/v1/batches", limit=1)["next_cursor"]
    assert api.call("GET", f"/v1/jobs?cursor={cursor}").status_code == 422


def test_devices_keys_and_results_have_pages_too(api: Api) -> None:
    add_device(api.core, "dev-2")
    api.post("/v1/keys", {"name": "second", "scopes": ["read"]})
    created = api.batch(3)
    results = f"/v1/batches/{created['id']}/results"
    assert [len(page) for page in pages(api, "/v1/devices", limit=1)] == [1, 1]
    assert [len(page) for page in pages(api, "/v1/keys", limit=1)] == [1, 1]
    assert [len(page) for page in pages(api, results, limit=2)] == [2, 1]


def test_events_have_pages_from_behind_the_last_one_seen(api: Api) -> None:
    for _ in range(5):
        api.batch()
    first = api.get("/v1/events", limit=3)
    rest = api.get("/v1/events", after=first["next_cursor"], limit=3)
    assert [e["kind"] for e in first["items"] + rest["items"]] == ["created"] * 5
    assert (first["next_cursor"], rest["next_cursor"]) == (first["items"][-1]["id"], None)


def test_from_now_on_leaves_out_what_has_been(api: Api) -> None:
    api.batch()
    now = api.get("/v1/events", after="now")
    later = api.batch()
    found = api.get("/v1/events", after=now["next_cursor"])["items"]
    assert (now["items"], [e["batch_id"] for e in found]) == ([], [later["id"]])
