"""Certificates, from a journal on disk over the object store to a check without a server."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from orchestrator.proof.certificate import check
from orchestrator.services.core import Core
from tests.integration.api_stack import Api, add_device, new_key, serving
from tests.integration.puppet import OTHER_PROJECT, failed, new_batch
from tests.integration.witnessed import Witnessed

Sql = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def device(core: Core, tmp_path: Path) -> Iterator[Witnessed]:
    made = Witnessed.online(core, "dev-1", tmp_path)
    yield made
    made.journal.close()


@pytest.fixture
def api(core: Core) -> Iterator[Api]:
    with serving(core) as api:
        yield api


def address(batch: UUID) -> str:
    return f"/v1/batches/{batch}/certificate"


def refusal(api: Api, batch: UUID, **options: Any) -> tuple[int, str]:
    answer = api.call("GET", address(batch), **options)
    return answer.status_code, answer.json()["code"]


def inside(signed: Any) -> Any:
    return json.loads(signed["certificate"])


def kinds(lines: list[str]) -> list[str]:
    return [json.loads(line[65:])["kind"] for line in lines]


def test_a_batch_that_was_alone_is_certified_with_its_neighbours(
    core: Core, api: Api, device: Witnessed
) -> None:
    before, batch, after = (new_batch(core, 3) for _ in range(3))
    device.serve_all()
    device.shipper.ship()
    signed = api.get(address(batch))
    assert check(json.dumps(signed), api.get("/v1/certificate-key")["public_key"]) == []
    (held,) = inside(signed)["held"]
    assert kinds(held["entries"]) == ["began", "finished"] * 3
    assert str(before) in held["before"] and str(after) in held["after"]


def test_a_neighbour_of_another_project_is_only_a_hash(
    core: Core, api: Api, device: Witnessed, sql: Sql
) -> None:
    before, batch, after = (new_batch(core, 1) for _ in range(3))
    device.serve_all()
    device.shipper.ship()
    others = {"other": OTHER_PROJECT, "theirs": [before, after]}
    sql.execute(b"UPDATE batch SET project_id = %(other)s WHERE id = ANY(%(theirs)s)", others)
    signed = api.get(address(batch))
    (held,) = inside(signed)["held"]
    assert (len(held["before"]), len(held["after"])) == (64, 64)
    assert check(json.dumps(signed), api.get("/v1/certificate-key")["public_key"]) == []


def test_a_batch_that_ran_in_many_segments_is_certified(
    core: Core, api: Api, tmp_path: Path
) -> None:
    device = Witnessed.online(core, "dev-1", tmp_path, segment=700)
    batches = [new_batch(core, 5) for _ in range(3)]
    device.serve_all()
    device.shipper.ship()
    for batch in batches:
        assert check(json.dumps(api.get(address(batch)))) == []
    device.journal.close()


def test_segments_from_before_its_time_are_not_read(core: Core, api: Api, tmp_path: Path) -> None:
    device = Witnessed.online(core, "dev-1", tmp_path, segment=2_000)
    batches = [new_batch(core, 9) for _ in range(2)]
    device.serve_all()
    device.shipper.ship()
    first, *others = sorted((tmp_path / "objects" / "witness").rglob("*.log"))
    assert len(others) > 4
    whole = inside(api.get(address(batches[1])))["held"]
    first.write_bytes(b"unreadable")
    for segment in (first, *others[:2]):
        os.utime(segment, (0, 0))
    assert inside(api.get(address(batches[1])))["held"] == whole
    device.journal.close()


def test_a_batch_on_several_devices_is_certified_for_each(
    core: Core, api: Api, device: Witnessed, tmp_path: Path
) -> None:
    other = Witnessed.online(core, "dev-2", tmp_path)
    batch = new_batch(core, 6, lanes=2)
    for each in (device, other) * 6:
        if each.puppet.inbox:
            window = each.puppet.take()
            outcomes = [each.run(window, task) for task in window.jobs]
            each.puppet.answer(window, *outcomes)
    for each in (device, other):
        each.shipper.ship()
    signed = api.get(address(batch))
    assert [held["device"] for held in inside(signed)["held"]] == ["dev-1", "dev-2"]
    assert check(json.dumps(signed)) == []
    other.journal.close()


def test_a_batch_that_began_nothing_has_a_certificate_without_entries(core: Core, api: Api) -> None:
    add_device(core, "dev-1")
    batch = new_batch(core, 2)
    api.post(f"/v1/batches/{batch}/cancel")
    signed = api.get(address(batch))
    assert inside(signed)["held"] == [] and check(json.dumps(signed)) == []


def test_a_batch_that_is_not_over_has_no_certificate_yet(core: Core, api: Api) -> None:
    add_device(core, "dev-1")
    assert refusal(api, new_batch(core)) == (409, "certificate_not_ready")


def test_before_the_log_has_come_the_caller_is_told_to_ask_again(
    core: Core, api: Api, device: Witnessed
) -> None:
    batch = new_batch(core, 2)
    device.serve_all()
    answer = api.call("GET", address(batch))
    assert (answer.status_code, answer.headers["Retry-After"]) == (409, "2")


def test_the_log_of_a_failed_job_is_waited_for_and_then_called_missing(
    core: Core, api: Api, device: Witnessed, sql: Sql
) -> None:
    batch = new_batch(core, 1)
    window = device.puppet.take()
    (task,) = window.jobs
    assert device.puppet.has_permit(task)
    device.puppet.answer(window, failed(task))
    assert refusal(api, batch) == (409, "certificate_not_ready")
    sql.execute("UPDATE batch SET ended_at = ended_at - interval '2 minutes'")
    signed = api.get(address(batch))
    assert inside(signed)["unwitnessed"] == [task.job] and check(json.dumps(signed)) == []


def test_a_stranger_between_two_entries_is_named_and_nothing_certified(
    core: Core, api: Api, device: Witnessed
) -> None:
    batch = new_batch(core, 2)
    window = device.puppet.take()
    first, *rest = window.jobs
    outcomes = [device.run(window, first)]
    other = window.model_copy(update={"batch": "someone-else", "fence": window.fence + 1})
    stranger = first.model_copy(update={"job": "theirs"})
    device.begin(other, stranger)
    device.ended(stranger, failed(stranger))
    device.puppet.answer(window, *outcomes, *[device.run(window, task) for task in rest])
    device.serve_all()
    device.shipper.ship()
    answer = api.call("GET", address(batch))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_certifiable")
    assert "job theirs of batch someone-else" in answer.json()["detail"]


def test_a_log_that_was_changed_certifies_nothing(
    core: Core, api: Api, device: Witnessed, tmp_path: Path
) -> None:
    batch = new_batch(core, 2)
    device.serve_all()
    device.shipper.ship()
    (segment,) = (tmp_path / "objects" / "witness").rglob("*.log")
    segment.write_bytes(segment.read_bytes().replace(b'"run":1', b'"run":2', 1))
    assert refusal(api, batch) == (409, "not_certifiable")


def test_a_result_that_is_not_the_logs_certifies_nothing(
    core: Core, api: Api, device: Witnessed, sql: Sql
) -> None:
    batch = new_batch(core, 1)
    device.serve_all()
    device.shipper.ship()
    sql.execute("UPDATE result SET sha256 = 'another'")
    assert refusal(api, batch) == (409, "not_certifiable")


def test_another_projects_batch_has_no_certificate_to_show(
    core: Core, api: Api, device: Witnessed
) -> None:
    batch = new_batch(core, 1)
    device.serve_all()
    device.shipper.ship()
    key = new_key(core, project=OTHER_PROJECT)
    assert refusal(api, batch, key=key) == (404, "not_found")


def test_every_process_signs_with_the_same_key(core: Core, api: Api) -> None:
    with serving(core) as other:
        assert api.get("/v1/certificate-key") == other.get("/v1/certificate-key")
