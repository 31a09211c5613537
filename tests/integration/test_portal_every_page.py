"""Every page and every form that names something by id, by a visitor of another project: it is not
there. The routes are found by themselves."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from orchestrator.api.portal.route import PageRoute
from orchestrator.services.core import Core
from schemas.words import Scope
from tests.integration.api_stack import Api, add_device, new_key, serving
from tests.integration.guest import Guest, guest
from tests.integration.puppet import OTHER_PROJECT
from tests.integration.test_every_route import kept, made_for

FIELDS = {"role": "owner", "reason": "mine now", "when": "now", "payload": '{"do": "noop"}'}
# Told of nothing that is a project's own.
EVERYBODYS = ("/assets/{name}",)


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    add_device(core, "dev-1")
    with serving(core) as api:
        yield api


def routes(api: Api) -> Iterator[tuple[str, str]]:
    app = api.server.config.app
    assert isinstance(app, FastAPI)
    for route in app.state.routes:
        if isinstance(route, PageRoute):
            yield from ((method, route.path_format) for method in route.methods or ())


def status(visitor: Guest, method: str, address: str) -> int:
    """A stream of news has no end, so only its beginning is read."""
    if method == "POST":
        return visitor.post(address, FIELDS, on="/project").status_code
    with visitor.http.stream("GET", address) as answer:
        return answer.status_code


def address_of(api: Api, path: str) -> str:
    return made_for(api, path.replace("{kind}", "json"))


def test_anothers_thing_is_on_no_page(api: Api) -> None:
    by_id = [each for each in routes(api) if "{" in each[1] and each[1] not in EVERYBODYS]
    by_id = [each for each in by_id if each[1] != "/batches/results.{kind}"]
    assert len(by_id) > 15
    wrong = []
    theirs = new_key(api.core, project=OTHER_PROJECT)
    with guest(api, theirs) as stranger, guest(api, api.key) as owner:
        for method, path in by_id:
            address = address_of(api, path)
            before = kept(api)
            if (seen := status(stranger, method, address)) != 404 or kept(api) != before:
                wrong.append((method, path, seen))
            # The same by an owner: what was not there has been there.
            mine = status(owner, method, address)
            if mine in (401, 403, 404, 500):
                wrong.append((method, path, mine))
    assert not wrong


def test_no_page_tells_of_another_project(api: Api) -> None:
    listings = [path for method, path in routes(api) if method == "GET" and "{" not in path]
    listings = [path for path in listings if not path.startswith(("/live", "/portal"))]
    batch = api.batch(open=True, name="a-batch-of-theirs", tags=["their-tag"])
    things = (batch["id"], "a-batch-of-theirs", "their-tag")
    with guest(api, api.key) as owner:
        mine = {path: owner.get(path).text for path in listings}
    with guest(api, new_key(api.core, project=OTHER_PROJECT)) as stranger:
        others = {path: stranger.get(path).text for path in listings}
    assert all(any(thing in text for text in mine.values()) for thing in things)
    assert not [(t, path) for t in things for path, text in others.items() if t in text]


def test_a_reader_changes_nothing_by_any_form(api: Api) -> None:
    forms = [path for method, path in routes(api) if method == "POST"]
    forms = [path for path in forms if path not in ("/login", "/logout", "/project")]
    assert len(forms) > 10
    wrong = []
    with guest(api, new_key(api.core, [Scope.READ])) as reader:
        for path in forms:
            address = address_of(api, path) if "{" in path else path
            before = kept(api)
            if (seen := status(reader, "POST", address)) != 403 or kept(api) != before:
                wrong.append((path, seen))
    assert not wrong
