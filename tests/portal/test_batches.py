"""The list of batches in a real browser: it changes by itself, and what is chosen is acted upon."""

import io
import json
from pathlib import Path
from uuid import uuid4
from zipfile import ZipFile

from holdfast import Batch, Client
from playwright.sync_api import Page, expect

from tests.portal.conftest import Visit

NOOP = {"payload": {"do": "noop"}}
LONG = {"payload": {"do": "sleep", "s": 60}}


def row(page: Page, batch: Batch) -> str:
    return f"#batch-{batch.id}"


def test_what_happens_is_shown_without_a_reload_and_the_choice_stays(
    visit: Visit, client: Client
) -> None:
    tag = f"t{uuid4().hex[:8]}"
    client.create_batch("BENCH", [NOOP])
    portal = visit("member")
    page = portal.page
    portal.open(f"/batches?tag={tag}")
    expect(page.get_by_role("heading", name="No batch matches")).to_be_visible()
    expect(page.locator("#live")).to_have_text("live")
    first = client.create_batch("BENCH", [NOOP], open=True, tags=[tag], name="looked at")
    line = page.locator(row(page, first))
    expect(line).to_contain_text("1 of 1 done")
    expect(line.locator(".badge.open")).to_be_visible()
    expect(line.locator(".clock")).to_contain_text(" s")
    line.get_by_role("checkbox").check()
    expect(page.locator("[data-count]")).to_have_text("1")
    second = client.create_batch("BENCH", [NOOP], tags=[tag], name="after it")
    expect(page.locator("tbody tr").first).to_have_id(f"batch-{second.id}")
    first.close()
    expect(line.locator(".badge.DONE")).to_be_visible()
    expect(line.get_by_role("checkbox")).to_be_checked()
    expect(page.locator(row(page, second))).to_contain_text("1 of 1 done")
    assert portal.axe() == []


def test_a_filter_is_chosen_by_keyboard_and_stands_in_the_address(
    visit: Visit, client: Client
) -> None:
    client.create_batch("BENCH", [NOOP])
    portal = visit("reader")
    page = portal.page
    portal.open("/batches")
    page.get_by_label("timed out", exact=True).focus()
    page.keyboard.press("Space")
    page.wait_for_url("**/batches?status=TIMED_OUT")
    expect(page.get_by_label("timed out", exact=True)).to_be_focused()
    page.get_by_text("More filters").click()
    page.get_by_label("Tag", exact=True).fill("no such tag")
    page.get_by_label("Created from").fill("2026-01-31")
    page.keyboard.press("Enter")
    page.wait_for_url("**tag=no+such+tag&since=2026-01-31&zone=*")
    expect(page.get_by_role("link", name="Show all batches")).to_be_visible()
    assert portal.axe() == []


def test_the_chosen_are_canceled_after_a_question(visit: Visit, client: Client) -> None:
    tag = f"t{uuid4().hex[:8]}"
    made = [client.create_batch("BENCH", [LONG], tags=[tag]) for _ in range(3)]
    portal = visit("member")
    page = portal.page
    portal.open(f"/batches?tag={tag}")
    expect(page.get_by_role("button", name="Cancel…")).to_be_disabled()
    page.get_by_label("Choose all on this page").check()
    page.locator(row(page, made[0])).get_by_role("checkbox").uncheck()
    expect(page.locator("[data-count]")).to_have_text("2")
    page.get_by_role("button", name="Cancel…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancel 2 batches?")
    assert portal.axe() == []
    page.get_by_role("button", name="Cancel 2 batches").click()
    expect(page.get_by_role("status")).to_contain_text("2 batches canceled.")
    assert [each.refresh().status in ("CANCELED",) for each in made] == [False, True, True]
    made[0].cancel()


def test_a_whole_filter_is_canceled_and_rebatched_without_scripts(
    visit: Visit, client: Client
) -> None:
    tag = f"t{uuid4().hex[:8]}"
    made = [client.create_batch("BENCH", [LONG], tags=[tag]) for _ in range(2)]
    portal = visit("member", java_script_enabled=False)
    page = portal.page
    for word, button in (("Cancel", "Cancel 2 batches"), ("Rebatch", "Submit 2 batches again")):
        portal.open(f"/batches?tag={tag}")
        page.get_by_text("All that match").click()
        page.get_by_role("link", name=f"{word} all").click()
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("status")).to_be_visible()
    assert {each.refresh().status for each in made} == {"CANCELED"}
    again = [each for each in client.batches(tag=tag) if each.parent_id]
    assert {each.parent_id for each in again} == {each.id for each in made}
    for each in again:
        each.cancel()


def test_results_are_downloaded_as_one_file(visit: Visit, client: Client) -> None:
    tag = f"t{uuid4().hex[:8]}"
    made = [client.create_batch("BENCH", [NOOP, NOOP], tags=[tag], name=f"n {n}") for n in (1, 2)]
    for each in made:
        each.wait(timeout=60)
    portal = visit("reader")
    page = portal.page
    portal.open(f"/batches?tag={tag}")
    page.get_by_label("Choose all on this page").check()
    with page.expect_download() as begun:
        page.get_by_role("button", name="Download zip").click()
    with ZipFile(io.BytesIO(Path(begun.value.path()).read_bytes())) as archive:
        assert len(archive.namelist()) == 5
    page.get_by_text("All that match").click()
    page.get_by_role("link", name="Download all results").click()
    with page.expect_download() as begun:
        page.get_by_role("link", name="Download as JSON").click()
    given = json.loads(Path(begun.value.path()).read_text())
    assert [len(each["jobs"]) for each in given["batches"]] == [2, 2]
    assert [each["id"] for each in given["batches"]] == [each.id for each in reversed(made)]
