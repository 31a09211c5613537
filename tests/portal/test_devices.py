"""The lanes of devices, in a real browser and on real workers."""

import re
from collections.abc import Iterator

import pytest
from holdfast import Batch, Client
from playwright.sync_api import Locator, Page, expect

from tests.portal.conftest import Visit
from tests.submit.dev import Dev
from tests.waiting import until

WITHIN_S = 60.0
ALIVE = ("PENDING", "ADMITTED", "RUNNING", "PAUSED")


def sleeping(*seconds: float) -> list[dict[str, object]]:
    return [{"payload": {"do": "sleep", "s": each}} for each in seconds]


def lane(page: Page, device: str) -> Locator:
    return page.locator(".lane").filter(has=page.get_by_role("heading", name=device, exact=True))


def open_menu(page: Page, device: str) -> Locator:
    shown = lane(page, device)
    shown.get_by_text("Manage").click()
    return shown.locator(".sheet")


def running(client: Client, batch: Batch) -> bool:
    return bool(batch.refresh().jobs("RUNNING"))


@pytest.fixture(autouse=True)
def in_service(client: Client) -> Iterator[None]:
    yield
    for device in ("bench-a", "bench-b"):
        client.resume_device(device)
    for batch in client.batches(status=ALIVE, device_type="BENCH"):
        batch.cancel()


def test_an_operator_stops_what_runs_and_it_runs_again(client: Client, visit: Visit) -> None:
    client.drain_device("bench-b", "left out of this test")
    batch = client.create_batch("BENCH", sleeping(25, 0), name="To be stopped")
    until(lambda: running(client, batch), WITHIN_S)
    page = visit("operator").page
    page.goto("/devices?minutes=60")
    sheet = open_menu(page, "bench-a")
    sheet.get_by_label(re.compile("^Now")).check()
    sheet.get_by_label("Message to users").fill("smoke in the cryostat")
    sheet.get_by_role("button", name="Take out of service").click()
    expect(page.get_by_role("status").first).to_contain_text("bench-a is out of service")
    expect(lane(page, "bench-a")).to_contain_text("smoke in the cryostat")
    until(lambda: batch.refresh().status == "PAUSED", WITHIN_S)
    assert "smoke in the cryostat" in (batch.reason or "")
    assert (batch.jobs_failed, batch.jobs_left) == (0, 2)
    open_menu(page, "bench-a").get_by_role("button", name="Put back into service").click()
    expect(lane(page, "bench-a")).not_to_contain_text("smoke")
    client.resume_device("bench-b")
    assert batch.wait(timeout=WITHIN_S).jobs_done == 2


def test_a_lane_follows_what_happens_without_a_reload(client: Client, visit: Visit) -> None:
    looker = visit("reader")
    looker.open("/devices")
    page = looker.page
    assert page.get_by_text("Manage").count() == 0
    batch = client.create_batch("BENCH", sleeping(0), name="Comes and idles", open=True)
    where = page.locator(".lane").filter(has_text="Comes and idles").first
    expect(where).to_contain_text("waits for its owner")
    ring = where.locator("svg.ring .left")
    before = float(ring.get_attribute("stroke-dashoffset") or 0)
    until(lambda: float(ring.get_attribute("stroke-dashoffset") or 0) > before, WITHIN_S)
    batch.close()
    expect(page.locator(".runs").filter(has_text="Comes and idles")).to_have_count(0)


def test_a_menu_that_is_open_keeps_what_was_typed_while_the_lane_changes(
    client: Client, visit: Visit
) -> None:
    page = visit("operator").page
    page.goto("/devices")
    sheet = open_menu(page, "bench-a")
    sheet.get_by_label("Message to users").fill("half a sen")
    client.create_batch("BENCH", sleeping(1.5), name="Passes by")
    expect(page.locator(".lane").filter(has_text="Passes by").first).to_be_visible()
    expect(sheet.get_by_label("Message to users")).to_have_value("half a sen")


def test_a_device_is_paused_without_a_script(client: Client, visit: Visit) -> None:
    page = visit("operator", java_script_enabled=False).page
    page.goto("/devices")
    sheet = open_menu(page, "bench-a")
    sheet.get_by_label("Message to users").fill("calibration")
    sheet.get_by_role("button", name="Take out of service").click()
    expect(lane(page, "bench-a")).to_contain_text("calibration")
    assert client.device("bench-a").status == "PAUSED"


def test_a_stranger_is_told_of_no_batch_of_ours(dev: Dev, client: Client, visit: Visit) -> None:
    batch = client.create_batch("BENCH", sleeping(60), name="Not for strangers")
    until(lambda: running(client, batch), WITHIN_S)
    looker = visit("stranger")
    looker.open("/devices")
    expect(looker.page.get_by_text("another project’s batch").first).to_be_visible()
    assert batch.id not in looker.page.content()
    assert "Not for strangers" not in looker.page.content()


def test_the_lanes_are_accessible(client: Client, visit: Visit) -> None:
    batch = client.create_batch("BENCH", sleeping(0), name="Seen by axe", open=True)
    until(lambda: batch.refresh().jobs_done == 1, WITHIN_S)
    looker = visit("operator")
    looker.open("/devices?minutes=60")
    open_menu(looker.page, "bench-a")
    assert looker.axe() == []
