"""Submitting by hand, keys and members, in a real browser."""

import re

import httpx
from playwright.sync_api import FilePayload, expect

from tests.portal.conftest import Visit
from tests.sequences import one_pulse
from tests.submit.dev import Dev

SEQUENCE = one_pulse(amplitude=None, duration=100)


def test_a_pasted_sequence_is_filled_in_tried_and_submitted(visit: Visit, dev: Dev) -> None:
    portal = visit("member")
    portal.pardon(422)
    page = portal.page
    portal.open("/submit")
    page.get_by_label("A serialized sequence").fill(SEQUENCE)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A sequence with 1 job")
    assert portal.axe() == []
    page.get_by_role("button", name="Add a job").click()
    page.get_by_label("omega of job 1").fill("1.5")
    page.get_by_label("omega of job 2").fill("fast")
    page.get_by_label("Name").fill("by hand")
    page.get_by_label("Device type").select_option("EMU_FREE")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_label("omega of job 2")).to_have_attribute("aria-invalid", "true")
    assert portal.axe() == []
    page.get_by_label("omega of job 2").fill("2.5")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_role("status")).to_contain_text("This would be accepted: 2 jobs")
    assert dev.sql("SELECT count(*) FROM batch WHERE name = 'by hand'") == [(0,)]
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page).to_have_url(re.compile(r"/batches/[0-9a-f-]{36}$"))
    assert dev.sql("SELECT jobs_total FROM batch WHERE name = 'by hand'") == [(2,)]


def test_a_batch_file_is_uploaded_without_javascript(visit: Visit) -> None:
    portal = visit("member", java_script_enabled=False)
    page = portal.page
    portal.open("/submit")
    batch = b'{"device_type": "BENCH", "name": "a file", "jobs": [{"payload": {"do": "echo"}}]}'
    file = FilePayload(name="batch.json", mimeType="application/json", buffer=batch)
    page.get_by_label("Or a file").set_input_files(file)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_label("Name")).to_have_value("a file")
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page).to_have_url(re.compile(r"/batches/[0-9a-f-]{36}$"))


def test_a_key_is_made_shown_once_and_revoked(visit: Visit, dev: Dev) -> None:
    portal = visit("owner")
    page = portal.page
    portal.open("/keys")
    page.get_by_label("Name").fill("measuring cart")
    page.get_by_role("button", name="Make the key").click()
    secret = page.locator("#secret").inner_text()
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{dev.base_url}/v1/batches", headers=headers).status_code == 200
    assert portal.axe() == []
    page.get_by_role("link", name="Done").click()
    expect(page.locator("body")).not_to_contain_text(secret)
    page.on("dialog", lambda dialog: dialog.accept())
    row = page.get_by_role("row").filter(has_text="measuring cart")
    row.get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")
    assert httpx.get(f"{dev.base_url}/v1/batches", headers=headers).status_code == 401


def test_a_member_is_added_promoted_and_removed(visit: Visit) -> None:
    portal = visit("owner")
    page = portal.page
    portal.open("/members")
    page.get_by_label("User name").fill("nadia")
    page.get_by_label("First password").fill("a long enough one")
    page.get_by_role("button", name="Add").click()
    row = page.get_by_role("row").filter(has_text="nadia")
    row.get_by_label("Role of nadia").select_option("operator")
    row.get_by_role("button", name="Change").click()
    expect(page.get_by_role("status")).to_contain_text("Changed")
    expect(row.get_by_label("Role of nadia")).to_have_value("operator")
    page.on("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)


def test_the_reference_of_the_api_is_read_without_asking_anybody_else(visit: Visit) -> None:
    portal = visit()
    portal.open("/docs")
    expect(portal.page.get_by_text("/v1/batches", exact=True).first).to_be_visible()
