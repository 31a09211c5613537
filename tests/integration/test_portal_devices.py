"""The devices' page over HTTP: who sees what of a lane, and who may take a device out."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from orchestrator.services.core import Core
from orchestrator.services.device import pause
from orchestrator.services.submit import submit
from orchestrator.store import lanes
from schemas.batch import BatchIn
from schemas.words import Scope
from tests.integration.api_stack import Api, new_key, serving
from tests.integration.puppet import (
    OTHER_PROJECT,
    PROJECT,
    Puppet,
    call,
    job_bodies,
    new_batch,
)

READER = (Scope.READ,)
OPERATOR = (Scope.READ, Scope.OPERATE)


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    with serving(core) as running:
        yield running


@contextmanager
def visiting(
    api: Api, scopes: tuple[Scope, ...] = OPERATOR, project: UUID = PROJECT
) -> Iterator[httpx.Client]:
    """A browser without scripts, signed in with a key."""
    with httpx.Client(base_url=api.url, timeout=30, follow_redirects=True) as browser:
        form = browser.get("/login").text
        key = new_key(api.core, scopes, project)
        browser.post("/login", data={"csrf": hidden(form, "csrf"), "api_key": key})
        yield browser


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, page
    return found[1]


def sent(browser: httpx.Client, path: str, **fields: Any) -> httpx.Response:
    page = browser.get("/devices").text
    proof = {"csrf": hidden(page, "csrf"), "key": hidden(page, "key")}
    return browser.post(path, data=proof | fields)


def submitted(core: Core, project: UUID, **fields: Any) -> UUID:
    with core.transaction() as tx:
        body = BatchIn(device_type="TEST", jobs=job_bodies(2), **fields)
        return submit(core, tx, project, None, body)


def test_the_owner_of_a_batch_reads_what_runs_and_who_is_next(api: Api, puppet: Puppet) -> None:
    batch = new_batch(api.core, 20, name="Ring of six")
    new_batch(api.core, 1, name="The next one")
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    with visiting(api, READER) as browser:
        page = browser.get("/devices").text
    assert "Ring of six" in page and f"/batches/{batch}" in page
    assert "job 1 of 20" in page and "The next one" in page


def test_another_project_sees_that_there_is_a_batch_and_nothing_of_it(
    api: Api, puppet: Puppet
) -> None:
    first = submitted(api.core, PROJECT, name="Secret plan", open=True)
    second = submitted(api.core, PROJECT, name="Secret sequel")
    puppet.serve_all()
    with visiting(api, OPERATOR, OTHER_PROJECT) as browser:
        page = browser.get("/devices").text
    assert "another project’s batch" in page
    for secret in ("Secret", str(first), str(second), "waits for its owner", "of 2"):
        assert secret not in page


def test_the_idle_clock_of_an_open_batch_is_shown_to_its_owner(api: Api, puppet: Puppet) -> None:
    new_batch(api.core, 1, open=True)
    puppet.serve_all()
    with visiting(api, READER) as browser:
        page = browser.get("/devices").text
    assert "waits for its owner" in page and "data-deadline" in page


def test_lanes_of_another_projects_controllers_are_not_there(api: Api, puppet: Puppet) -> None:
    with api.core.transaction() as tx:
        tx.connection.execute(
            text("UPDATE device_type SET project_id = :other"), {"other": OTHER_PROJECT}
        )
    with visiting(api) as browser:
        assert "dev-1" not in browser.get("/devices").text
    with visiting(api, OPERATOR, OTHER_PROJECT) as browser:
        assert "dev-1" in browser.get("/devices").text
        proof = {"csrf": hidden(browser.get("/devices").text, "csrf")}
    with visiting(api) as browser:
        csrf = hidden(browser.get("/project").text, "csrf")
        answer = browser.post("/devices/dev-1/resume", data=proof | {"csrf": csrf})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("when", "status"), [("after_job", "PAUSED"), ("after_batch", "DRAINING"), ("now", "PAUSED")]
)
def test_an_operator_takes_a_device_out_with_a_message_and_puts_it_back(
    api: Api, puppet: Puppet, when: str, status: str
) -> None:
    with visiting(api) as browser:
        out = sent(browser, "/devices/dev-1/drain", when=when, reason="laser <b>off</b>")
        assert out.status_code == 200 and "laser &lt;b&gt;off&lt;/b&gt;" in out.text
        assert api.get("/v1/devices/dev-1")["status"] == status
        back = sent(browser, "/devices/dev-1/resume")
    assert 'class="told"' in out.text and 'class="told"' not in back.text
    assert api.get("/v1/devices/dev-1")["status"] == "ONLINE"


def test_whoever_manages_a_device_comes_back_to_the_range_they_looked_at(
    api: Api, puppet: Puppet
) -> None:
    with visiting(api) as browser:
        minutes = hidden(browser.get("/devices?minutes=60").text, "minutes")
        back = sent(browser, "/devices/dev-1/resume", minutes=minutes)
        elsewhere = sent(browser, "/devices/dev-1/resume", minutes="7&x=//example.org")
    assert str(back.url).endswith("/devices?minutes=60")
    assert (elsewhere.status_code, str(elsewhere.url)) == (200, f"{api.url}/devices")


def test_a_page_that_cannot_show_all_devices_says_so(
    api: Api, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with visiting(api) as browser:
        assert "more devices than" not in browser.get("/devices").text
        monkeypatch.setattr(lanes, "DEVICES_MOST", 1)
        assert "more devices than" in browser.get("/devices").text


def test_who_may_only_read_finds_no_button_and_is_refused(api: Api, puppet: Puppet) -> None:
    with visiting(api, READER) as browser:
        page = browser.get("/devices").text
        assert "dev-1" in page and "Take" not in page
        proof = {"csrf": hidden(page, "csrf"), "when": "now", "reason": "mine"}
        answer = browser.post("/devices/dev-1/drain", data=proof)
    assert answer.status_code == 403
    assert api.get("/v1/devices/dev-1")["status"] == "ONLINE"


@pytest.mark.parametrize(
    "fields",
    [
        {"when": "now", "reason": ""},
        {"when": "soon", "reason": "laser"},
        {"reason": "laser"},
        {"when": "now", "reason": "x" * 501},
    ],
)
def test_a_form_that_lacks_something_says_what(
    api: Api, puppet: Puppet, fields: dict[str, str]
) -> None:
    with visiting(api) as browser:
        answer = sent(browser, "/devices/dev-1/drain", **fields)
    assert answer.status_code == 422
    assert "reason" in answer.text or "when" in answer.text
    assert api.get("/v1/devices/dev-1")["status"] == "ONLINE"


def test_a_form_that_is_sent_twice_is_done_once(api: Api, puppet: Puppet) -> None:
    with visiting(api) as browser:
        page = browser.get("/devices").text
        form = {name: hidden(page, name) for name in ("csrf", "key")}
        form |= {"when": "after_job", "reason": "laser"}
        browser.post("/devices/dev-1/drain", data=form)
        api.post("/v1/devices/dev-1/resume")
        assert browser.post("/devices/dev-1/drain", data=form).status_code == 200
    assert api.get("/v1/devices/dev-1")["status"] == "ONLINE"


def test_the_past_names_own_batches_and_hatches_the_rest(api: Api, puppet: Puppet) -> None:
    mine = submitted(api.core, PROJECT, name="Mine")
    theirs = submitted(api.core, OTHER_PROJECT, name="Theirs")
    puppet.serve_all()
    call(api.core, pause, "dev-1", "calibration")
    with visiting(api) as browser:
        page = browser.get("/devices?minutes=60").text
    strip = page[page.index('class="strip"') :]
    assert f"/batches/{mine}" in strip or "2 batches" in strip
    assert str(theirs) not in page and "Theirs" not in page
    assert "paused: calibration" in strip


def test_a_range_that_there_is_not_is_refused(api: Api) -> None:
    with visiting(api) as browser:
        assert browser.get("/devices?minutes=7").status_code == 422


def test_without_a_device_the_page_says_how_to_get_one(api: Api) -> None:
    with visiting(api) as browser:
        assert "holdfast worker" in browser.get("/devices").text


def test_the_api_takes_a_device_out_at_once(api: Api, puppet: Puppet) -> None:
    body = {"reason": "smoke", "when": "now"}
    assert api.post("/v1/devices/dev-1/drain", body)["status"] == "PAUSED"
    wrong = api.call("POST", "/v1/devices/dev-1/drain", {"reason": "smoke", "when": "soon"})
    assert wrong.status_code == 422 and "when" in wrong.text
