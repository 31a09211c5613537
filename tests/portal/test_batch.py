"""The pages of a batch and of a job, as somebody works with them."""

import re

from holdfast import Client
from playwright.sync_api import Page, expect

from tests.portal.conftest import Visit
from tests.portal.scene import Scene

SLEEP = {"payload": {"do": "sleep", "s": 0.3}}
LONG = {"payload": {"do": "sleep", "s": 120}}


def accept(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())


def test_an_open_batch_is_followed_added_to_and_closed(visit: Visit, client: Client) -> None:
    batch = client.create_batch("BENCH", [SLEEP], open=True, name="An open one")
    portal = visit("member")
    portal.open(f"/batches/{batch.id}")
    page = portal.page
    accept(page)
    expect(page.locator("#jobs .badge")).to_have_text("done")
    expect(page.locator("#batch-head [data-countdown]")).to_have_text(re.compile(r"^\d+ s$"))
    batch.add_jobs([SLEEP])
    expect(page.locator("#jobs tr")).to_have_count(2)
    page.get_by_text("Add a job", exact=True).click()
    page.get_by_text("A payload of its own").click()
    page.fill("#payload", "{'do': 'echo'}")
    portal.pardon(422)
    page.get_by_role("button", name="Add it").click()
    expect(page.locator("#add-job .note")).to_contain_text("must be JSON")
    page.fill("#payload", '{"do": "echo"}')
    page.get_by_role("button", name="Add it").click()
    expect(page.locator("#job-head .badge")).to_have_text("done")
    portal.open(f"/batches/{batch.id}")
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator("#batch-head .badge")).to_have_text("done")
    expect(page.get_by_role("button", name="Close", exact=True)).to_be_hidden()


def test_pending_jobs_are_canceled_and_the_batch_after_them(visit: Visit, client: Client) -> None:
    batch = client.create_batch("BENCH", [LONG] * 3, name="A long one")
    portal = visit("member")
    portal.open(f"/batches/{batch.id}")
    page = portal.page
    accept(page)
    expect(page.locator("#jobs .badge.RUNNING")).to_have_count(1)
    page.get_by_text("Cancel…").click()
    page.get_by_role("button", name="Cancel pending jobs").click()
    expect(page.locator("#jobs .badge.CANCELED")).to_have_count(2)
    page.get_by_text("Cancel…").click()
    page.get_by_role("button", name="Cancel the batch, stop what runs").click()
    expect(page.locator("#batch-head .badge")).to_have_text("canceled")
    expect(page.locator("#jobs .badge.CANCELED")).to_have_count(3)


def test_failed_jobs_are_run_again_in_a_new_batch_without_a_script(
    visit: Visit, client: Client
) -> None:
    wrong = {"payload": {"do": "fail", "reason": "wrong by design"}}
    batch = client.create_batch("BENCH", [SLEEP, wrong], name="Half wrong").wait(timeout=30)
    portal = visit("member", java_script_enabled=False)
    portal.open(f"/batches/{batch.id}")
    page = portal.page
    page.get_by_text("Rebatch…").click()
    page.get_by_role("checkbox", name="failed").check()
    page.get_by_role("button", name="Make the batch").click()
    expect(page.locator("#jobs tr")).to_have_count(1)
    assert batch.id not in portal.path
    portal.open(f"/jobs/{batch.jobs('ERROR')[0].id}")
    expect(page.locator("#job-trouble")).to_contain_text("wrong by design")
    page.get_by_role("button", name="Retry in a new batch").click()
    expect(page.locator("#jobs tr")).to_have_count(1)


def test_results_curves_and_proofs_are_drawn_and_downloaded(visit: Visit, scene: Scene) -> None:
    portal = visit("reader")
    page = portal.page
    portal.open(f"/batches/{scene.counted.id}?view=results")
    expect(page.locator("svg.histogram")).to_have_count(8)
    portal.open(f"/batches/{scene.converged.id}?view=convergence")
    expect(page.get_by_role("img", name="energy over jobs")).to_be_visible()
    portal.open(f"/batches/{scene.counted.id}?view=certificate")
    with page.expect_download() as given:
        page.get_by_role("link", name="Download the certificate").click()
    assert given.value.suggested_filename == f"certificate-{scene.counted.id}.json"
    portal.open(f"/jobs/{scene.failed_job}")
    expect(page.locator("#job-trouble strong")).to_be_visible()
    expect(page.locator(".actions button")).to_have_count(0)


def test_every_part_of_a_batch_and_a_job_can_be_used_by_everybody(
    visit: Visit, scene: Scene
) -> None:
    portal = visit("member")
    parts = ("results", "convergence", "parameters", "events", "certificate")
    paths = [f"/batches/{scene.converged.id}?view={part}" for part in parts]
    for path in (*paths, f"/batches/{scene.waiting[0].id}", f"/jobs/{scene.counted_job}"):
        portal.open(path)
        assert portal.axe() == []
