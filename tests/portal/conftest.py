"""The portal in a real browser, in front of a whole `holdfast dev`.

What tests in here ask for:

- `dev`: the stack, one for all of them, with `base_url`, `project_id`, `api_key`, `sql(...)`. Its
  devices: `bench-a` and `bench-b` of the type BENCH do as a job's payload says (see
  workers/executors/scripted.py: `{"payload": {"do": "sleep", "s": 30}}`) and are the tests' own;
  `emu-a` (EMU_FREE), `fresnel-1` (FRESNEL) and `chem-a` (XTB) are the scene's. An open batch is
  idle for 20 s at most. Devices are everybody's: resume what you pause.
- `client`: a `holdfast.Client` of the project's owner, to make what a page is to show.
- `people["member"]`: `username`, `password`, `api_key`, `project_id` of whoever has that role.
- `visit("member")`: a `Portal` (tests/portal/browser.py) with the session of that role of the
  project (`reader`, `member`, `operator`, `owner`), of the owner of the other project
  (`stranger`), or of nobody (no word). A role signs in once for all tests; a test that signs out
  begins with `visit()` and `.sign_in(people["member"])`. Nothing is open yet. Further words are
  Playwright's for a context, such as `java_script_enabled=False` or `color_scheme="dark"`. Each
  visit is a context of its own, and several may be open at once. `.page` is Playwright's page;
  `.open("/devices")` fails unless it is answered 200 (or the status that is given); `.axe()`
  gives what axe-core finds grave.
- `browser`: Chromium, one for each module.
- `scene`: a laboratory's day (tests/portal/scene.py), made once for whoever asks for it.

After each test every visit must have been quiet: no request to anywhere else, no error in the
console, nothing refused by the policy. An answer that a test provokes is pardoned by its status:
`visit(...).pardon(422)`.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from holdfast import Client
from playwright.sync_api import Browser, Page, expect

from tests.installed import NotInstalled, chromium, npm_package
from tests.portal.browser import PATIENCE_MS, Portal, running_browser
from tests.portal.people import User, hired
from tests.portal.scene import DEVICES, Scene, played
from tests.submit.dev import Dev, running_dev

Visit = Callable[..., Portal]
Cookies = list[Any]
BENCHES = ("bench-a:BENCH:scripted", "bench-b:BENCH:scripted")
WORDS = (
    *("--idle-timeout", "20"),
    *(word for device in (*BENCHES, *DEVICES) for word in ("--device", device)),
)
HERE = "tests/portal/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What makes the stack ready and the scene complete has deadlines of its own."""
    for item in items:
        if item.nodeid.startswith(HERE):
            item.add_marker(pytest.mark.timeout(120, func_only=True))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Now, since a test's own time limit is too short for an installation. What went wrong is
    told by each test."""
    if any(item.nodeid.startswith(HERE) for item in session.items):
        with suppress(NotInstalled):
            chromium()
        with suppress(NotInstalled):
            npm_package("axe-core")


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    settings = {"HOLDFAST_BATCHES_PER_MINUTE": "1000"}
    with running_dev(tmp_path_factory.mktemp("dev"), words=WORDS, **settings) as dev:
        yield dev


@pytest.fixture(scope="session")
def client(dev: Dev) -> Iterator[Client]:
    with Client(dev.base_url, dev.api_key) as client:
        yield client


@pytest.fixture(scope="session")
def people(dev: Dev) -> dict[str, User]:
    return hired(dev)


@pytest.fixture(scope="session")
def scene(dev: Dev, people: dict[str, User]) -> Scene:
    return played(dev, people)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for longer than a module: Playwright keeps an event loop in this thread meanwhile."""
    expect.set_options(timeout=PATIENCE_MS)
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def sessions() -> dict[str, Cookies]:
    """By role, of those who have signed in before."""
    return {}


@pytest.fixture
def visit(
    browser: Browser, dev: Dev, people: dict[str, User], sessions: dict[str, Cookies]
) -> Iterator[Visit]:
    visits: list[Portal] = []

    def begin(role: str = "", **wishes: Any) -> Portal:
        visits.append(portal := Portal(browser, dev.base_url, **wishes))
        if role in sessions:
            portal.context.add_cookies(sessions[role])
        elif role:
            portal.sign_in(people[role])
            sessions[role] = list(portal.context.cookies())
        return portal

    yield begin
    faults = [fault for each in visits for fault in each.faults()]
    for each in visits:
        each.close()
    assert faults == []


@pytest.fixture
def page(visit: Visit) -> Page:
    """Of somebody who is not signed in."""
    return visit().page
