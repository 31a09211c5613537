"""HEAD: for whoever only wants to know whether something is there, as probes and proxies do."""

from collections.abc import Iterator

import pytest

from orchestrator.services.core import Core
from tests.integration.api_stack import Api, serving
from tests.waiting import until


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    with serving(core) as running:
        yield running


@pytest.mark.parametrize("path", ["/health/live", "/v1/batches", "/v1/nope", "/login"])
def test_the_head_of_an_answer_is_that_of_get(api: Api, path: str) -> None:
    head, whole = api.call("HEAD", path), api.call("GET", path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers["Content-Type"] == whole.headers["Content-Type"]
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]


def test_the_head_of_a_stream_does_not_wait_for_its_end(api: Api) -> None:
    stream = {"Accept": "text/event-stream"}
    assert api.call("HEAD", "/v1/events", headers=stream).status_code == 200
    assert api.call("GET", "/v1/devices").status_code == 200
    until(lambda: api.streams.hall.open == 0)
