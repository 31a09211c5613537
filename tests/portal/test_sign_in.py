from urllib.parse import quote

from playwright.sync_api import expect

from tests.portal.browser import Portal
from tests.portal.conftest import Visit
from tests.portal.people import User

SESSION = "holdfast_session"


def fill(portal: Portal, username: str, password: str) -> None:
    portal.page.get_by_label("User name").fill(username)
    portal.page.get_by_label("Password", exact=True).fill(password)
    portal.page.get_by_role("button", name="Sign in", exact=True).click()


def signed_in(visit: Visit, people: dict[str, User], **wishes: bool) -> Portal:
    portal = visit(**wishes)
    portal.sign_in(people["member"])
    return portal


def test_a_user_and_a_password_lead_to_the_batches(visit: Visit, people: dict[str, User]) -> None:
    portal = signed_in(visit, people)
    assert portal.path == "/batches"
    expect(portal.page.get_by_role("banner")).to_contain_text("milan")


def test_a_key_signs_in_and_does_what_it_may(visit: Visit, people: dict[str, User]) -> None:
    portal = visit()
    portal.open("/login")
    portal.page.get_by_text("Sign in with an API key").click()
    portal.page.get_by_label("API key").fill(people["operator"].api_key)
    portal.page.get_by_role("button", name="Sign in with the key").click()
    expect(portal.page).to_have_url(f"{portal.base_url}/batches")


def test_a_wrong_password_is_refused_and_the_name_is_kept(visit: Visit) -> None:
    portal = visit()
    portal.open("/login")
    portal.pardon(401)
    fill(portal, "milan", "not this one")
    expect(portal.page.get_by_role("alert")).to_be_visible()
    expect(portal.page.get_by_label("User name")).to_have_value("milan")
    assert SESSION not in {each["name"] for each in portal.context.cookies()}


def test_whoever_comes_by_a_link_is_led_back_to_it(visit: Visit, people: dict[str, User]) -> None:
    portal = visit()
    portal.open("/batches?tag=ring-6")
    assert portal.path.startswith("/login?")
    fill(portal, people["reader"].username, people["reader"].password)
    expect(portal.page).to_have_url(f"{portal.base_url}/batches?tag=ring-6")


def test_a_link_does_not_lead_through_the_sign_in_to_another_server(
    visit: Visit, people: dict[str, User]
) -> None:
    for elsewhere in ("https://elsewhere.test/", "//elsewhere.test/", "/\\elsewhere.test/"):
        portal = visit()
        portal.open(f"/login?next={quote(elsewhere, safe='')}")
        fill(portal, people["reader"].username, people["reader"].password)
        expect(portal.page).to_have_url(f"{portal.base_url}/batches")


def test_the_session_is_kept_from_scripts_and_other_sites(
    visit: Visit, people: dict[str, User]
) -> None:
    cookies = signed_in(visit, people).context.cookies()
    (cookie,) = (each for each in cookies if each["name"] == SESSION)
    assert cookie["httpOnly"]
    assert cookie["sameSite"] in ("Lax", "Strict")


def test_signing_out_ends_the_session_for_good(visit: Visit, people: dict[str, User]) -> None:
    portal = signed_in(visit, people)
    kept = portal.context.cookies()
    portal.page.get_by_role("button", name="Sign out").click()
    expect(portal.page).to_have_url(f"{portal.base_url}/login")
    portal.context.add_cookies(kept)  # type: ignore[arg-type]
    portal.open("/batches")
    assert portal.path.startswith("/login")


def test_the_way_in_and_out_needs_no_script(visit: Visit, people: dict[str, User]) -> None:
    portal = signed_in(visit, people, java_script_enabled=False)
    assert portal.path == "/batches"
    portal.page.get_by_role("button", name="Sign out").click()
    expect(portal.page).to_have_url(f"{portal.base_url}/login")


def test_a_form_of_another_site_is_refused(visit: Visit) -> None:
    portal = visit("member")
    answer = portal.page.request.post("/logout", form={"csrf": "forged"}, max_redirects=0)
    assert answer.status == 403
    portal.open("/batches")
    assert portal.path == "/batches"


def test_guessing_is_slowed_down(visit: Visit) -> None:
    portal = visit()
    portal.open("/login")
    portal.pardon(401)
    portal.pardon(429)
    for _ in range(11):
        fill(portal, "nobody at all", "a guess")
        portal.page.wait_for_load_state()
    expect(portal.page.get_by_role("alert")).to_contain_text("again in")
