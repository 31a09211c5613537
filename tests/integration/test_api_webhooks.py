"""Webhooks over HTTP, through the client, and on the command line."""

import json
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network

import pytest
import typer
from holdfast import Client
from standardwebhooks import Webhook
from typer.testing import CliRunner

from orchestrator.commands import register_all
from orchestrator.config import Settings
from orchestrator.domain.webhook import Network
from orchestrator.services.core import Core
from orchestrator.services.deliver import Courier
from schemas.words import Scope
from tests.integration.api_stack import Api, batch_body, new_key, serving
from tests.integration.puppet import OTHER_PROJECT, Puppet
from tests.integration.webhook_stack import Receiver, receiving, told

LOCAL: Network = ip_network("127.0.0.0/8")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, webhook_allow=(LOCAL,))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def api(core: Core, puppet: Puppet) -> Iterator[Api]:
    with serving(core) as api:
        yield api


@pytest.fixture
def courier(core: Core) -> Courier:
    return Courier(core)


def ended(api: Api, puppet: Puppet, receiver: Receiver, jobs: int = 1) -> str:
    batch: str = api.batch(jobs, webhook=receiver.url)["id"]
    puppet.serve_all()
    return batch


def test_the_log_tells_each_attempt_and_when_the_next_is_due(
    api: Api, puppet: Puppet, courier: Courier, receiver: Receiver
) -> None:
    receiver.status = 503
    batch = ended(api, puppet, receiver)
    told(courier)
    first = api.get(f"/v1/batches/{batch}/deliveries")["items"][0]
    assert (first["type"], first["status"], first["url"]) == ("job.done", "PENDING", receiver.url)
    assert first["webhook_id"] in {got.id for got in receiver.got}
    attempt = first["attempts"][0]
    assert (attempt["number"], attempt["http_status"]) == (1, 503)
    assert attempt["error"] == "it answered 503: Service Unavailable"
    assert first["next_attempt_at"] > attempt["ended_at"] > attempt["at"]


def test_the_log_comes_in_pages(
    api: Api, puppet: Puppet, courier: Courier, receiver: Receiver
) -> None:
    batch = ended(api, puppet, receiver, jobs=4)
    told(courier)
    seen: list[str] = []
    cursor = None
    while cursor or not seen:
        wanted = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = api.get(f"/v1/batches/{batch}/deliveries", **wanted)
        seen += [each["type"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ["job.done"] * 4 + ["batch.done"]
    refused = api.call("GET", f"/v1/batches/{batch}/deliveries", params={"cursor": "eA"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "cursor")


def test_another_project_sees_neither_log_nor_endpoint(
    api: Api, puppet: Puppet, courier: Courier, receiver: Receiver
) -> None:
    batch = ended(api, puppet, receiver)
    told(courier)
    stranger = new_key(api.core, project=OTHER_PROJECT)
    log = api.call("GET", f"/v1/batches/{batch}/deliveries", key=stranger)
    assert (log.status_code, log.json()["code"]) == (404, "not_found")
    assert api.call("GET", "/v1/webhooks", key=stranger).json()["items"] == []
    enabled = api.call("POST", "/v1/webhooks/enable", {"url": receiver.url}, key=stranger)
    assert enabled.status_code == 404


def test_a_disabled_endpoint_says_why_and_is_enabled_again(
    api: Api, puppet: Puppet, courier: Courier, receiver: Receiver
) -> None:
    receiver.status = 410
    batch = ended(api, puppet, receiver)
    told(courier)
    assert api.get("/v1/webhooks")["items"][0]["disabled_reason"] == "it answered 410 Gone"
    log = api.get(f"/v1/batches/{batch}/deliveries")["items"]
    assert {(each["status"], each["next_attempt_at"]) for each in log} == {("HELD", None)}
    enabled = api.post("/v1/webhooks/enable", {"url": receiver.url})
    assert (enabled["url"], enabled["disabled_at"]) == (receiver.url, None)


def test_the_secret_is_for_admins_and_checks_the_messages(
    api: Api, puppet: Puppet, courier: Courier, receiver: Receiver
) -> None:
    weak = new_key(api.core, [Scope.SUBMIT])
    assert api.call("GET", "/v1/webhooks/secret", key=weak).status_code == 403
    assert api.call("POST", "/v1/webhooks/secret/rotate", key=weak).status_code == 403
    secret = api.get("/v1/webhooks/secret")["secret"]
    assert secret.startswith("whsec_")
    ended(api, puppet, receiver)
    told(courier)
    Webhook(secret).verify(receiver.got[0].body, receiver.got[0].headers)


def test_a_rotation_under_one_key_is_done_once_and_not_without_end(api: Api) -> None:
    old = api.get("/v1/webhooks/secret")["secret"]
    path, under = "/v1/webhooks/secret/rotate", {"Idempotency-Key": "once"}
    first = api.post(path, headers=under)
    assert (first["previous"], api.post(path, headers=under)) == ([old], first)
    answers = [api.call("POST", path).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 409]


def test_a_url_that_is_refused_names_the_field(api: Api) -> None:
    for url in ("http://10.0.0.1/", "gopher://example.org/", "https://u:p@example.org/", ""):
        refused = api.call("POST", "/v1/batches", batch_body(webhook=url))
        assert refused.status_code == 422, url
        assert [each["field"] for each in refused.json()["errors"]] == ["webhook"], url


def test_client_and_command_line_show_the_same(
    api: Api,
    puppet: Puppet,
    courier: Courier,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOLDFAST_URL", api.url)
    monkeypatch.setenv("HOLDFAST_API_KEY", api.key)
    app = typer.Typer()
    register_all(app)

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, ["webhooks", *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    receiver.status = 410
    with Client(api.url, api.key) as client:
        batch = client.create_batch("TEST", [{"payload": {}}], webhook=receiver.url).id
        puppet.serve_all()
        told(courier)
        log = json.loads(run("log", batch, "--json"))
        assert log == [each.to_dict() for each in client.deliveries(batch)]
        assert [each["status"] for each in log] == ["HELD", "HELD"]
        assert client.signing_secret().secret == run("secret").strip()
        assert "HELD" in run("log", batch)
        assert "disabled" in run("list")
        assert "in service" in run("enable", receiver.url)
        assert client.endpoints()[0].disabled_reason is None
        old = client.signing_secret().secret
        assert client.signing_secret(rotate=True).previous == [old]
        assert client.enable_endpoint(receiver.url).url == receiver.url


def test_an_enabled_endpoint_gets_what_waited(
    api: Api, puppet: Puppet, courier: Courier, receiver: Receiver
) -> None:
    receiver.answers = [(410, {})] * 2
    batch = ended(api, puppet, receiver)
    told(courier)
    api.post("/v1/webhooks/enable", {"url": receiver.url})
    told(courier)
    log = api.get(f"/v1/batches/{batch}/deliveries")["items"]
    assert [each["status"] for each in log] == ["DELIVERED", "DELIVERED"]
