"""The client's `webhook=`: results come by themselves."""

import httpx
from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient
from standardwebhooks import Webhook

from tests.integration.webhook_stack import receiving
from tests.pasqal.conftest import Dev, Key
from tests.pasqal.programs import fixed, unique
from tests.waiting import until


def test_results_are_sent_to_the_clients_webhook(dev: Dev) -> None:
    with receiving() as receiver:
        cloud = PasqalCloudClient(
            token_provider=Key(dev.api_key),
            endpoints=dev.endpoints,
            project_id=dev.project_id,
            webhook=receiver.url,
        )
        batch = cloud.create_batch(fixed().to_abstract_repr(), [{"runs": 5}], tags=unique())
        assert batch.webhook == receiver.url
        until(lambda: receiver.types == ["batch.done", "job.done"], 90)
    headers = {"Authorization": f"Bearer {dev.api_key}"}
    secret = httpx.get(f"{dev.base_url}/v1/webhooks/secret", headers=headers).json()["secret"]
    for got in receiver.got:
        Webhook(secret).verify(got.body, got.headers)
    told = next(got.message["data"] for got in receiver.got if got.type == "job.done")
    assert told["batch_id"] == batch.id
    assert told["result"]["counter"] == batch.ordered_jobs[0].result
