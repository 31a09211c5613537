"""A create that comes again within a minute is the same batch."""

import gzip
import json
import threading
from typing import Any

import httpx

from tests.pasqal.conftest import Cloud, Dev
from tests.pasqal.programs import fixed, unique

BATCHES = "/api/v1/batches"
REPLAYED = "Idempotency-Replayed"


def body(dev: Dev, **fields: Any) -> dict[str, Any]:
    sequence = fixed().to_abstract_repr()
    given = {"sequence_builder": sequence, "jobs": [{"runs": 5}], "project_id": dev.project_id}
    return {**given, "device_type": "EMU_FREE", "tags": unique(), **fields}


def test_the_same_bytes_make_one_batch(dev: Dev, http: httpx.Client) -> None:
    sent = body(dev)
    first, second = (http.post(BATCHES, json=sent) for _ in range(2))
    assert first.json()["data"]["id"] == second.json()["data"]["id"]
    assert (first.headers.get(REPLAYED), second.headers.get(REPLAYED)) == (None, "true")


def test_other_bytes_make_another(dev: Dev, http: httpx.Client) -> None:
    first, second = (http.post(BATCHES, json=body(dev)).json()["data"]["id"] for _ in range(2))
    assert first != second


def test_after_a_minute_the_same_bytes_are_a_new_call(dev: Dev, http: httpx.Client) -> None:
    sent = body(dev)
    first = http.post(BATCHES, json=sent).json()["data"]["id"]
    dev.sql("UPDATE submission SET created_at = created_at - interval '61 s' RETURNING 1")
    assert http.post(BATCHES, json=sent).json()["data"]["id"] != first


def test_another_user_is_another_call(dev: Dev, http: httpx.Client) -> None:
    sent = body(dev)
    first = http.post(BATCHES, json=sent).json()["data"]
    second = http.post(BATCHES, json=sent, headers=dev.as_user("ada"))
    assert second.json()["data"]["id"] != first["id"]
    assert REPLAYED not in second.headers


def test_ten_at_once_make_one_batch(dev: Dev, http: httpx.Client) -> None:
    sent = gzip.compress(json.dumps(body(dev)).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    ids: list[str] = []

    def send() -> None:
        ids.append(http.post(BATCHES, content=sent, headers=headers).json()["data"]["id"])

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(ids), len(set(ids))) == (10, 1)


def test_a_refused_call_is_not_remembered(dev: Dev, http: httpx.Client) -> None:
    sent = body(dev, device_type="LATER")
    assert http.post(BATCHES, json=sent).status_code == 422
    dev.sql("INSERT INTO device_type (name, executor) VALUES ('LATER', 'scripted') RETURNING 1")
    assert http.post(BATCHES, json=sent).status_code == 200


def test_the_clients_own_retry_finds_its_batch(dev: Dev, cloud: Cloud) -> None:
    """The answer is lost on the way: what lies between says 502, and the client asks again."""
    lost: list[bytes] = []
    real = cloud._client.session.request

    def losing(method: str, url: str, **options: Any) -> Any:
        answer = real(method, url, **options)
        if method == "POST" and not lost:
            lost.append(answer.content)
            answer.status_code, answer._content = 502, b'{"code": "502", "message": "lost"}'
        return answer

    cloud._client.session.request = losing
    try:
        batch = cloud.create_batch(fixed().to_abstract_repr(), [{"runs": 5}], tags=unique())
    finally:
        cloud._client.session.request = real
    assert json.loads(lost[0])["data"]["id"] == batch.id
