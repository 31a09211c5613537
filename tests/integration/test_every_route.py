"""Every route that names something by id, called with another project's key: it is not there.

The routes are found by themselves. One that names a new kind of thing fails here until `made` can
make one; one that wants a body, until `BODIES` has it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Mount

from orchestrator.api.portal.route import PageRoute
from orchestrator.services import keys, members
from orchestrator.services.core import Core
from schemas.words import KeyKind, Role
from tests.integration.api_stack import ALL, Api, add_device, new_key, serving
from tests.integration.puppet import OTHER_PROJECT, PROJECT

Call = tuple[str, str]
DOOR: Final = "/core-fast/api"
BODIES: Final[dict[str, Any]] = {
    "/v1/batches/{batch_id}/jobs": {"jobs": [{"payload": {"do": "noop"}}]},
    "/v1/batches/{batch_id}/jobs/cancel": {"filter": {}},
    "/v1/batches/{batch_id}/tags": {"tags": ["mine"]},
    "/v1/devices/{name}/pause": {"reason": "mine now"},
    "/v1/devices/{name}/drain": {"reason": "mine now"},
    "/v1/members/{user_id}/role": {"role": "owner"},
    "/api/v1/jobs/{job_id}": {"name": "mine"},
    f"{DOOR}/v2/batches/{{batch_id}}/jobs": [{"runs": 1}],
    f"{DOOR}/v1/batches/{{batch_id}}/tags": ["mine"],
}
QUERIES: Final = {("DELETE", "/v1/devices/{name}"): {"reason": "mine now"}}
# A key is no controller's token; a link is signed, and wants no key.
OTHER_WAYS: Final = ("/api/v1/assignments/", f"{DOOR}/v1/results/")
# Told of everybody's types only, which this one is not.
NOBODYS: Final = (f"{DOOR}/v1/devices/specs/",)
# What this test makes none of: batches of another door, results that others were given.
NONE_MADE: Final = (
    f"{DOOR}/v2/workloads/",
    f"{DOOR}/v1/workloads/",
    "/v1/jobs/{job_id}/withdraw",
)
# For everybody, or for those who show who they are in another way.
OPEN: Final = (
    "/health/",
    "/oauth/token",
    "/api/v1/controllers/",
    f"{DOOR}/v1/devices",
)
CONTROLLER: Final = {
    "name": "lab",
    "version": "1.0.0",
    "hostname": "lab",
    "cores": 1024,
    "memory_mb": 2**21,
    "backends": [{"name": "tblite", "version": "0.8.0", "job_types": ["single_point_energy"]}],
}
WATER: Final = {
    "job_type": "single_point_energy",
    "atoms": {
        "symbols": ["O", "H", "H"],
        "positions": [[0, 0, 0.1173], [0, 0.7572, -0.4692], [0, -0.7572, -0.4692]],
    },
    "level_of_theory": "GFN2-xTB",
}


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    add_device(core, "dev-1")
    many = replace(core.settings, batches_per_minute=1000)
    with serving(replace(core, settings=many)) as api:
        yield api


def calls(api: Api) -> Iterator[Call]:
    """Of the application and of all that is mounted in it: method, and path with its names. The
    portal's pages want a session, not a key: see test_portal_every_page."""
    app = api.server.config.app
    assert isinstance(app, FastAPI)
    for route in app.state.routes:
        if isinstance(route, PageRoute):
            continue
        yield from ((method, route.path_format) for method in route.methods)
    for door in (each for each in app.routes if isinstance(each, Mount)):
        assert isinstance(door.app, FastAPI)
        for path, methods in door.app.openapi()["paths"].items():
            yield from ((method.upper(), door.path + path) for method in methods)


def made(api: Api, name: str, path: str) -> str:
    """Something new of the first project, of the kind that the path names so."""
    if name in ("batch_id", "workload_id"):
        return str(api.batch(open=True)["id"])
    if name == "job_id" and path.startswith("/api/v1/"):
        return entry(api)
    if name in ("job_id", "assignment_id"):
        return str(api.batch(open=True)["jobs"][0]["id"])
    if name == "key_id":
        with api.core.transaction() as tx:
            return str(keys.create(api.core, tx, PROJECT, None, "x", ALL, granted_by=ALL).id)
    if name == "user_id":
        return member(api)
    if name == "name" and "/compute-targets/" in path:
        register(api)
        return str(CONTROLLER["name"])
    if name in ("name", "device_type"):
        return own_device(api, "type" if name == "device_type" else "name")
    raise AssertionError(f"{path} names a {name!r}: make one here")


def member(api: Api) -> str:
    with api.core.transaction() as tx:
        given = (PROJECT, f"u-{uuid4()}", Role.READER, "no hash")
        return str(members.add(api.core, tx, *given, granted_by=ALL))


def register(api: Api) -> None:
    with api.core.transaction() as tx:
        runner = keys.create(
            api.core, tx, PROJECT, None, "lab", (), granted_by=ALL, kind=KeyKind.RUNNER
        )
    api.post("/api/v1/controllers/register", CONTROLLER, key=runner.secret)


def entry(api: Api) -> str:
    """A job of the submit-batch door, for a controller of the project."""
    register(api)
    jobs = [{"job": WATER, "compute_target": "lab", "use_cache": False}]
    report = api.post("/api/v1/jobs/submit-batch", {"jobs": jobs})
    assert report["jobs"][0]["error"] is None
    return str(report["jobs"][0]["job_id"])


def own_device(api: Api, column: str) -> str:
    """A device that only this project has."""
    register(api)
    with api.core.transaction() as tx:
        found = tx.connection.exec_driver_sql(
            f"SELECT {column} FROM device WHERE type LIKE 'byoc-%' LIMIT 1".replace("%", "%%")
        )
        return str(found.scalar_one())


def made_for(api: Api, path: str) -> str:
    """The address of something new of the first project."""
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return path.format(**{name: made(api, name, path) for name in names})


def sent(api: Api, call: Call, address: str, key: str) -> httpx.Response:
    method, path = call
    body = BODIES.get(path) if method in ("POST", "PUT", "PATCH") else None
    return api.call(method, address, body, key=key, params=QUERIES.get(call))


def kept(api: Api) -> list[str]:
    """What is stored, but for the moments at which keys were used."""
    with api.core.transaction() as tx:
        return [
            tx.connection.exec_driver_sql(
                "SELECT md5(string_agg(row, '' ORDER BY row)) FROM ("
                f"SELECT (to_jsonb(t) - 'last_used_at')::text AS row FROM {table} t) AS rows"
            ).scalar_one()
            for table in ("batch", "job", "device", "api_key", "membership", "controller", "entry")
        ]


@pytest.fixture
def theirs(api: Api) -> str:
    """A key with every scope, of the second project."""
    return new_key(api.core, ALL, OTHER_PROJECT)


def test_anothers_thing_is_not_there_by_any_route(api: Api, theirs: str) -> None:
    by_id = [call for call in calls(api) if "{" in call[1]]
    assert len(by_id) > 50
    wrong = []
    for call in by_id:
        address = made_for(api, call[1])
        before = kept(api)
        answer = sent(api, call, address, theirs)
        refusals = (401, 403, 404, 422) if call[1].startswith(OTHER_WAYS) else (404,)
        if answer.status_code not in refusals or kept(api) != before:
            wrong.append((*call, answer.status_code, answer.text))
        if call[1].startswith(OTHER_WAYS + NONE_MADE + NOBODYS):
            continue
        # The same with one's own key: what was not there has been there.
        mine = sent(api, call, address, api.key)
        if mine.status_code in (401, 403, 404, 500):
            wrong.append((*call, mine.status_code, mine.text))
    assert not wrong


def test_no_listing_tells_of_another_project(api: Api, theirs: str) -> None:
    """Its own one sees each of the things somewhere."""
    job = entry(api)
    (controller,) = (
        each for each in api.get("/api/v1/compute-targets") if each["name"] == CONTROLLER["name"]
    )
    assert controller["pending_jobs"] == 1
    things = {
        job,
        str(api.batch(open=True, name="a-batch-of-theirs")["id"]),
        made(api, "key_id", ""),
        member(api),
        own_device(api, "name"),
        str(PROJECT),
    }
    listings = [path for method, path in calls(api) if method == "GET" and "{" not in path]
    listings = [path for path in listings if not path.endswith(("/stream", "/events"))]
    mine = {path: told(api, path, api.key) for path in listings}
    others = {path: told(api, path, theirs) for path in listings}
    assert len(listings) > 15
    assert {thing for thing in things if any(thing in text for text in mine.values())} == things
    shown = {(thing, path) for thing in things for path, text in others.items() if thing in text}
    assert not shown


def told(api: Api, path: str, key: str) -> str:
    return api.call("GET", path, key=key).text


def test_runner_keys_and_controllers_tokens_are_refused_by_every_route_but_their_own(
    api: Api,
) -> None:
    with api.core.transaction() as tx:
        runner = keys.create(
            api.core, tx, PROJECT, None, "lab", (), granted_by=ALL, kind=KeyKind.RUNNER
        ).secret
    token = api.post("/api/v1/controllers/register", CONTROLLER, key=runner)["token"]
    guarded = [call for call in calls(api) if not call[1].startswith(OPEN + OTHER_WAYS)]
    assert len(guarded) > 80
    refusals = {runner: (403, "runner key"), token: (401, "controller's token")}
    wrong = []
    for method, path in guarded:
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        address = path.format(**{name: str(uuid4()) for name in names})
        for key, (status, words) in refusals.items():
            answer = api.call(method, address, key=key)
            if answer.status_code != status or words not in answer.text:
                wrong.append((method, path, answer.status_code, answer.text))
    assert not wrong
