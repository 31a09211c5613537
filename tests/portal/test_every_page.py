"""What holds for every page, whatever it shows."""

import pytest

from tests.portal.browser import Portal
from tests.portal.conftest import Visit
from tests.portal.people import STAFF
from tests.portal.scene import Scene

LISTS = ("/batches", "/devices", "/submit", "/keys", "/members", "/project")
BATCHES = ("counted", "converged", "failed", "canceled", "running", "idle")
JOBS = ("counted_job", "failed_job")
PAGES = (*LISTS, *BATCHES, *JOBS, "nothing here")


def address(page: str, scene: Scene) -> str:
    if page in BATCHES:
        return f"/batches/{getattr(scene, page).id}"
    if page in JOBS:
        return f"/jobs/{getattr(scene, page)}"
    return page if page in LISTS else "/batches/nothing"


@pytest.fixture
def owner(visit: Visit) -> Portal:
    return visit("owner")


@pytest.mark.parametrize("page", PAGES)
def test_everybody_can_use_it(page: str, owner: Portal, scene: Scene) -> None:
    """In light and dark, at a desk and on a phone. That it asks nothing of anybody else and
    breaks no policy is looked at after each test."""
    owner.open(address(page, scene), status=200 if page in PAGES[:-1] else 404)
    assert owner.axe() == []


def test_everybody_can_use_the_way_in(visit: Visit) -> None:
    portal = visit()
    portal.open("/login")
    assert portal.axe() == []


def test_only_our_own_files_may_be_executed(owner: Portal, scene: Scene) -> None:
    for page in PAGES:
        answer = owner.open(address(page, scene), status=200 if page in PAGES[:-1] else 404)
        policy = answer.headers["content-security-policy"]
        said = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert said["default-src"] == "'none'", page
        assert said["script-src"] == "'self'", page
        assert "unsafe" not in policy, page


def test_a_stranger_finds_nothing_there(visit: Visit, scene: Scene) -> None:
    stranger = visit("stranger")
    for page in (*BATCHES, *JOBS):
        stranger.open(address(page, scene), status=404)
        assert "Ring of six" not in stranger.page.content(), page


def test_a_stranger_sees_none_of_it(visit: Visit, scene: Scene) -> None:
    stranger = visit("stranger")
    ours = [scene.running, scene.idle, scene.counted, *scene.waiting]
    words = {*(each.id for each in ours), *(str(each.name) for each in ours), *STAFF}
    for page in LISTS:
        stranger.open(page)
        shown = stranger.page.content()
        assert [each for each in words if each in shown] == [], page


def test_what_a_page_does_wrong_is_noticed(visit: Visit) -> None:
    portal = visit()
    portal.open("/login")
    portal.page.evaluate(
        "document.body.append(new Image()), fetch('http://a.test/').catch(() => 0)"
    )
    portal.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p onclick=go()>go</p>')")
    portal.page.get_by_text("go", exact=True).click()
    found = " ".join(portal.faults())
    assert "http://a.test/" in found
    assert "Content Security Policy" in found
    portal.troubles.clear()
