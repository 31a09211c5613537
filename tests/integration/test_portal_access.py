"""The portal's door: sessions, forms, roles, keys and members, over real HTTP."""

import re
from collections.abc import Iterator

import pytest

from orchestrator.api.portal.visitor import COOKIE
from orchestrator.services import keys, members
from orchestrator.services.core import Core
from orchestrator.store.keys import list_keys
from orchestrator.store.listings_reading import reading
from orchestrator.store.members import list_members
from schemas.words import Role, Scope
from tests.integration.api_stack import ALL, Api, counts, new_key, serving
from tests.integration.guest import PASSWORD, Guest, add_user, guest
from tests.integration.puppet import OTHER_PROJECT, PROJECT


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    with serving(core) as api:
        yield api


@pytest.fixture
def owner(api: Api) -> Iterator[Guest]:
    add_user(api.core, "olga", Role.OWNER)
    with guest(api) as found:
        assert found.sign_in("olga").status_code == 303
        yield found


def test_whoever_is_not_signed_in_is_led_there_and_back(api: Api) -> None:
    add_user(api.core, "olga", Role.OWNER)
    with guest(api) as visitor:
        led = visitor.get("/keys?cursor=")
        assert (led.status_code, led.headers["location"]) == (
            303,
            "/login?next=%2Fkeys%3Fcursor%3D",
        )
        back = visitor.sign_in("olga", next="/keys")
        assert back.headers["location"] == "/keys"
        assert visitor.get("/keys").status_code == 200


def test_a_link_cannot_lead_elsewhere_through_the_sign_in(api: Api) -> None:
    add_user(api.core, "olga", Role.OWNER)
    for trap in ("https://evil.example", "//evil.example", "/\\evil.example"):
        with guest(api) as visitor:
            assert visitor.sign_in("olga", next=trap).headers["location"] == "/"


def test_whoever_a_proxy_asks_about_is_led_back_to_where_they_wanted(api: Api) -> None:
    with guest(api) as visitor:
        for wanted, back in (("/flower/tasks", "?next=%2Fflower%2Ftasks"), ("//evil", "")):
            led = visitor.get("/portal/operator", headers={"X-Forwarded-Uri": wanted})
            assert led.headers["location"] == f"/login{back}"


def test_a_wrong_password_is_told_on_the_form_and_begins_nothing(api: Api) -> None:
    add_user(api.core, "olga", Role.OWNER)
    with guest(api) as visitor:
        answer = visitor.sign_in("olga", "not hers")
        assert answer.status_code == 401
        assert "wrong user name or password" in answer.text
        assert 'value="olga"' in answer.text
        assert COOKIE not in visitor.http.cookies


def test_guessing_is_throttled(api: Api) -> None:
    add_user(api.core, "olga", Role.OWNER)
    with guest(api) as visitor:
        seen = [visitor.sign_in("olga", f"guess {n}").status_code for n in range(11)]
        assert seen == [401] * 10 + [429]
        assert "too many wrong passwords" in visitor.sign_in("olga").text


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(api: Api, owner: Guest) -> None:
    owner.get("/login")
    answer = owner.sign_in("olga")
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_every_page_forbids_inline_scripts_and_frames(owner: Guest) -> None:
    for path in ("/login", "/keys", "/members", "/submit", "/nothing-here"):
        policy = owner.get(path).headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", owner.page)


def test_a_form_of_another_page_than_ours_does_nothing(api: Api, owner: Guest) -> None:
    before = counts(api.core)
    for proof in ({}, {"csrf": "0" * 64}):
        answer = owner.send("/keys", {"name": "x", "scope": "read", **proof})
        assert answer.status_code == 403
        assert "reload the page" in answer.text
    assert counts(api.core) == before


def test_the_proof_of_one_session_is_none_for_another(api: Api, owner: Guest) -> None:
    owner.get("/keys")
    stolen = owner.proof()
    with guest(api, new_key(api.core)) as other:
        assert other.send("/keys", {"name": "x", "scope": "read", **stolen}).status_code == 403


def test_signing_out_ends_the_session_for_good(api: Api, owner: Guest) -> None:
    cookie = owner.http.cookies[COOKIE]
    assert owner.post("/logout", on="/keys").status_code == 303
    owner.http.cookies.set(COOKIE, cookie)
    assert owner.get("/keys").status_code == 303


def test_a_session_ends_with_its_key_and_with_its_membership(api: Api) -> None:
    with api.core.transaction() as tx:
        made = keys.create(api.core, tx, PROJECT, None, "k", ALL, granted_by=ALL)
    with guest(api, made.secret) as by_key:
        assert by_key.get("/keys").status_code == 200
        with api.core.transaction() as tx:
            keys.revoke(api.core, tx, PROJECT, made.id)
        assert by_key.get("/keys").status_code == 303
    for name in ("olga", "ivo"):
        add_user(api.core, name, Role.OWNER)
    with guest(api) as ivo, api.core.transaction() as tx:
        ivo.sign_in("ivo")
        user = next(m.user_id for m in list_members(tx.connection, PROJECT) if m.username == "ivo")
        assert ivo.get("/keys").status_code == 200
        members.remove(api.core, tx, PROJECT, user)
        tx.connection.commit()
        assert ivo.get("/keys").status_code == 303


def test_no_other_key_than_a_workspace_key_signs_in(api: Api) -> None:
    with guest(api) as visitor:
        for wrong in ("av_nonsense", "ct_something", "hello", new_key(api.core)[:-1] + "!"):
            answer = visitor.sign_in_with(wrong)
            assert answer.status_code == 401, wrong
            assert wrong not in answer.text


def test_a_key_may_do_in_the_portal_what_it_may_elsewhere(api: Api) -> None:
    with guest(api, new_key(api.core, [Scope.READ])) as reader:
        assert reader.get("/keys").status_code == 403
        assert reader.get("/submit").status_code == 403
        assert reader.get("/portal/operator").status_code == 403
    with guest(api, new_key(api.core, [Scope.OPERATE, Scope.READ])) as operator:
        assert operator.get("/portal/operator").status_code == 204


def test_a_new_key_is_shown_once_however_often_its_form_is_sent(api: Api, owner: Guest) -> None:
    owner.get("/keys")
    fields = {"name": "ci", "scope": ["read", "submit"], "days": "30", **owner.proof()}
    shown = owner.send("/keys", fields)
    [secret] = re.findall(r'id="secret">(av_\S+)</div>', shown.text)
    assert api.call("GET", "/v1/batches", key=secret).status_code == 200
    again = owner.send("/keys", fields)
    assert again.status_code == 303
    assert secret not in owner.get("/keys").text
    with reading(api.core.engine) as reader:
        assert [k.name for k in list_keys(reader, PROJECT).items].count("ci") == 1


def test_a_revoked_key_is_good_for_nothing_at_once(api: Api, owner: Guest) -> None:
    made = api.post("/v1/keys", {"name": "old", "scopes": ["read"]})
    assert owner.post(f"/keys/{made['id']}/revoke", on="/keys").status_code == 303
    assert api.call("GET", "/v1/batches", key=made["key"]).status_code == 401
    assert "revoked" in owner.get("/keys").text


def test_what_is_wrong_with_a_form_is_told_on_it(owner: Guest) -> None:
    nameless = owner.post("/keys", {"name": "", "scope": "read"}, on="/keys")
    assert nameless.status_code == 422
    assert "name: must not be empty" in nameless.text
    short = {"username": "ann", "role": "member", "password": "short"}
    answer = owner.post("/members", short, on="/members")
    assert answer.status_code == 422
    assert "password: must have at least 12 characters" in answer.text
    assert 'value="ann"' in answer.text


def test_members_are_added_changed_and_removed(api: Api, owner: Guest) -> None:
    new = {"username": "ann", "role": "reader", "password": PASSWORD}
    assert owner.post("/members", new, on="/members").status_code == 303
    with reading(api.core.engine) as reader:
        ann = next(m for m in list_members(reader, PROJECT) if m.username == "ann")
    path = f"/members/{ann.user_id}"
    assert owner.post(f"{path}/role", {"role": "operator"}, on="/members").status_code == 303
    with guest(api) as visitor:
        visitor.sign_in("ann")
        assert visitor.get("/portal/operator").status_code == 204
    assert owner.post(f"{path}/remove", on="/members").status_code == 303
    assert "ann" not in owner.get("/members").text


def test_the_last_owner_stays_one_and_is_told_why(api: Api, owner: Guest) -> None:
    with reading(api.core.engine) as reader:
        [olga] = list_members(reader, PROJECT)
    answer = owner.post(f"/members/{olga.user_id}/role", {"role": "reader"}, on="/members")
    assert answer.status_code == 409
    assert "last owner" in answer.text


def test_anothers_key_and_member_are_not_there(api: Api, owner: Guest) -> None:
    with api.core.transaction() as tx:
        theirs = keys.create(api.core, tx, OTHER_PROJECT, None, "k", ALL, granted_by=ALL)
    assert owner.post(f"/keys/{theirs.id}/revoke", on="/keys").status_code == 404
    add_user(api.core, "mallory", Role.OWNER, OTHER_PROJECT)
    with reading(api.core.engine) as reader:
        [mallory] = list_members(reader, OTHER_PROJECT)
    assert owner.post(f"/members/{mallory.user_id}/remove", on="/members").status_code == 404
    assert "mallory" not in owner.get("/members").text
    assert str(theirs.id) not in owner.get("/keys").text


def test_a_user_of_two_projects_looks_at_one_at_a_time(api: Api, owner: Guest) -> None:
    with api.core.transaction() as tx:
        members.add(api.core, tx, OTHER_PROJECT, "olga", Role.READER, None, granted_by=ALL)
    switched = owner.post("/project", {"project": str(OTHER_PROJECT)}, on="/project")
    assert switched.status_code == 303
    assert owner.get("/keys").status_code == 403
    nobodys = owner.post("/project", {"project": str(PROJECT)[:-1] + "f"}, on="/project")
    assert nobodys.status_code == 404


def test_what_nobody_has_is_a_page_for_browsers_and_a_problem_for_programs(api: Api) -> None:
    with guest(api) as visitor:
        page = visitor.get("/nothing-here")
        assert page.status_code == 404
        assert page.headers["content-type"].startswith("text/html")
        assert visitor.get("/v1/nothing").headers["content-type"] == "application/problem+json"
    answer = api.call("GET", "/nothing-here")
    assert answer.headers["content-type"] == "application/problem+json"


def test_assets_are_found_by_name_only(api: Api) -> None:
    with guest(api) as visitor:
        style = visitor.get("/assets/app.css")
        assert style.headers["content-type"].startswith("text/css")
        assert "immutable" in style.headers["cache-control"]
        for path in ("/assets/../view.py", "/assets/%2e%2e/view.py", "/assets/", "/assets/no.css"):
            assert visitor.get(path).status_code == 404
