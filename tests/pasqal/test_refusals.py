"""Bad input and trouble: in the dialect's shape, so that the client raises its own typed error."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from pasqal_cloud.authentication import TokenProviderError
from pasqal_cloud.errors import BatchCreationError, RebatchError
from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient
from pulser import NoiseModel
from pulser.backend import BitStrings, EmulationConfig

from tests.pasqal.conftest import Cloud, Dev, Key
from tests.pasqal.programs import fixed, for_qpu, mappable, parametrized, unique

BATCHES = "/api/v1/batches"
NAN = fixed().to_abstract_repr().replace('"x": 0.0', '"x": NaN')
TRAJECTORIES = EmulationConfig(
    observables=[BitStrings()], noise_model=NoiseModel(amp_sigma=0.1), n_trajectories=10**6
).to_abstract_repr()
GZIP = {"Content-Encoding": "gzip", "Content-Type": "application/json"}


def body(dev: Dev, **fields: Any) -> dict[str, Any]:
    sequence = fixed().to_abstract_repr()
    given = {"sequence_builder": sequence, "jobs": [{"runs": 5}], "project_id": dev.project_id}
    return {**given, "device_type": "EMU_FREE", "tags": unique(), **fields}


def refused(answer: httpx.Response, status: int) -> Any:
    """What is described, after a look at the envelope that the client relies on."""
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert told["code"] == str(status)
    assert told["message"]
    return told["data"]["description"]


def batches(dev: Dev) -> int:
    return int(dev.sql("SELECT count(*) FROM batch")[0][0])


@pytest.mark.parametrize(
    ("fields", "loc", "words"),
    [
        ({"jobs": []}, ["jobs"], "at least one"),
        ({"jobs": [{"runs": 0}]}, ["jobs", 0, "runs"], "at least 1"),
        ({"jobs": [{"runs": 5}, {"runs": "ten"}]}, ["jobs", 1, "runs"], "whole number"),
        ({"jobs": [{"runs": 5, "variables": {"x": 1}}]}, ["jobs", 0, "variables", "x"], "declared"),
        ({"jobs": [{"runs": 10**9}]}, ["jobs", 0, "runs"], "at most"),
        ({"device_type": "EMU_NONE"}, ["device_type"], "unknown"),
        ({"sequence_builder": "{}"}, ["sequence_builder"], "Pulser sequence"),
        ({"sequence_builder": "no json"}, ["sequence_builder"], "JSON"),
        ({"sequence_builder": None}, ["sequence_builder"], "missing"),
        ({"project_id": "mine"}, ["project_id"], "id"),
        ({"tags": ["x" * 101]}, ["tags", 0], "100 characters"),
        ({"webhook": "http://10.0.0.1/hook"}, ["webhook"], ""),
        ({"backend_configuration": "{"}, ["backend_configuration"], ""),
        ({"open": True, "complete": True}, ["complete"], "opposite"),
        ({"open": "yes"}, ["open"], "true or false"),
        ({"configuration": {"x": "y" * 70_000}}, ["configuration"], "at most"),
        ({"sequence_builder": NAN}, ["sequence_builder"], "finite"),
        ({"backend_configuration": TRAJECTORIES}, ["backend_configuration"], "trajectories"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_by_field(
    dev: Dev, http: httpx.Client, fields: dict[str, Any], loc: list[str | int], words: str
) -> None:
    before = batches(dev)
    found = refused(http.post(BATCHES, json=body(dev, **fields)), 422)
    assert ["body", *loc] in [each["loc"] for each in found], found
    assert words in json.dumps(found)
    assert batches(dev) == before


def test_strict_validation_is_as_for_the_processor(dev: Dev, http: httpx.Client) -> None:
    strict = {"strict_validation": True}
    found = refused(http.post(BATCHES, json=body(dev, configuration=strict)), 422)
    assert found[0]["loc"][:2] == ["body", "sequence_builder"]
    legal = body(dev, sequence_builder=for_qpu().to_abstract_repr(), configuration=strict)
    assert http.post(BATCHES, json=legal).status_code == 200


def test_a_job_has_variables_or_a_sequence_of_its_own(dev: Dev, http: httpx.Client) -> None:
    own = fixed().to_abstract_repr()
    jobs = [{"runs": 5}, {"runs": 5, "sequence": own, "variables": {"a": 1}}]
    [flaw] = refused(http.post(BATCHES, json=body(dev, jobs=jobs)), 422)
    assert flaw["loc"] == ["body", "jobs", 1, "variables"]


@pytest.mark.parametrize(
    "variables",
    [{}, {"omega_max": [1, 2]}, {"omega_max": "much"}, {"omega_max": 1, "more": 2}],
)
def test_variables_fit_those_declared(
    dev: Dev, http: httpx.Client, variables: dict[str, Any]
) -> None:
    given = body(
        dev,
        sequence_builder=parametrized().to_abstract_repr(),
        jobs=[{"runs": 5, "variables": variables}],
    )
    for flaw in refused(http.post(BATCHES, json=given), 422):
        assert flaw["loc"][:4] == ["body", "jobs", 0, "variables"]


@pytest.mark.parametrize(
    "qubits", [{}, {"q5": 1}, {"q0": 1, "q1": 1}, {"q0": 100}, {"q0": "first"}]
)
def test_qubits_are_mapped_to_traps_that_are_there(
    dev: Dev, http: httpx.Client, qubits: dict[str, Any]
) -> None:
    given = body(
        dev,
        sequence_builder=mappable().to_abstract_repr(),
        jobs=[{"runs": 5, "variables": {"qubits": qubits}}],
    )
    for flaw in refused(http.post(BATCHES, json=given), 422):
        assert flaw["loc"][:5] == ["body", "jobs", 0, "variables", "qubits"]


def test_ten_thousand_variables_are_refused(dev: Dev, http: httpx.Client) -> None:
    many = {f"v{n}": n for n in range(10_000)}
    given = body(dev, jobs=[{"runs": 5, "variables": many}])
    assert refused(http.post(BATCHES, json=given), 422)


def test_a_sequence_of_fifty_megabytes_is_refused(dev: Dev, http: httpx.Client) -> None:
    given = json.dumps(body(dev, sequence_builder=" " * 50_000_000)).encode()
    refused(http.post(BATCHES, content=given, headers={"Content-Type": "application/json"}), 413)
    refused(http.post(BATCHES, content=gzip.compress(given), headers=GZIP), 413)


def test_a_gzip_bomb_is_refused(http: httpx.Client) -> None:
    bomb = gzip.compress(b" " * 200_000_000)
    assert len(bomb) < 300_000
    refused(http.post(BATCHES, content=bomb, headers=GZIP), 413)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-9],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole + b"more",
        lambda whole: b"not gzip",
        lambda whole: whole[:-8] + bytes(8),
    ],
)
def test_a_damaged_gzip_body_is_refused(
    dev: Dev, http: httpx.Client, damage: Callable[[bytes], bytes]
) -> None:
    before = batches(dev)
    sent = damage(gzip.compress(json.dumps(body(dev)).encode()))
    assert "gzip" in refused(http.post(BATCHES, content=sent, headers=GZIP), 400)
    assert batches(dev) == before


def test_another_encoding_is_refused(http: httpx.Client) -> None:
    headers = {"Content-Encoding": "br", "Content-Type": "application/json"}
    refused(http.post(BATCHES, content=b"{}", headers=headers), 415)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v2/batches/none", 404),
        ("/api/v1/jobs/none/results_link", 404),
        ("/api/v2/jobs?id=none", 422),
        ("/api/v2/jobs?start_date=yesterday", 422),
        ("/api/v2/jobs?limit=101", 422),
        ("/api/v2/jobs?offset=-1", 422),
        ("/api/v2/jobs?status=LOST", 422),
        ("/api/v1/batches?open=maybe", 422),
        ("/api/v1/batches?queue_priority=SOON", 422),
        ("/api/v1/batches?tag=%00", 422),
        ("/api/v1/batches?device_type=%00", 422),
        ("/api/v1/batches?batch_id=1", 422),
        ("/api/v2/jobs?tag=a", 422),
        ("/api/v3/batches", 404),
    ],
)
def test_a_question_that_cannot_be_is_refused(http: httpx.Client, path: str, status: int) -> None:
    assert refused(http.get(path), status)


def test_a_misspelt_filter_cancels_nothing(dev: Dev, http: httpx.Client) -> None:
    made = http.post(BATCHES, json=body(dev, open=True)).json()["data"]
    for method, path in [("PATCH", "v2/batches/{}/cancel/jobs"), ("POST", "v1/batches/{}/rebatch")]:
        answer = http.request(method, f"/api/{path.format(made['id'])}", params={"ids": "x"})
        [flaw] = refused(answer, 422)
        assert flaw["loc"] == ["query", "ids"]
    http.patch(f"/api/v2/batches/{made['id']}/complete")


def test_half_a_character_in_a_name_is_refused_and_told(dev: Dev, http: httpx.Client) -> None:
    sequence = json.loads(parametrized().to_abstract_repr())
    sequence["variables"]["\ud800"] = {"type": "float", "value": [0.0]}
    refused(http.post(BATCHES, json=body(dev, sequence_builder=json.dumps(sequence))), 422)


def test_a_method_that_is_not_there_is_refused(http: httpx.Client) -> None:
    refused(http.delete(BATCHES), 405)


@pytest.mark.parametrize("token", ["", "hf_unknown", "x.y.z", "eyJhbGciOiJub25lIn0.e30."])
def test_a_token_of_elsewhere_is_refused(dev: Dev, token: str) -> None:
    client = PasqalCloudClient(
        token_provider=Key(token), endpoints=dev.endpoints, project_id=dev.project_id
    )
    with pytest.raises(BatchCreationError, match="401"):
        client.create_batch(fixed().to_abstract_repr(), [{"runs": 1}])


def test_an_expired_token_is_refused(dev: Dev) -> None:
    [(user,)] = dev.sql('SELECT id::text FROM "user" WHERE username = %s', dev.username)
    old = datetime.now(UTC) - timedelta(hours=1)
    claims = {"iss": "holdfast", "sub": user, "iat": old - timedelta(hours=1), "exp": old}
    expired = jwt.encode(claims, dev.signing_secret, algorithm="HS256")
    headers = {"Authorization": f"Bearer {expired}"}
    assert "expired" in refused(httpx.get(f"{dev.core}/api/v2/jobs", headers=headers), 401)


def test_a_wrong_password_is_told_at_once(dev: Dev) -> None:
    with pytest.raises(TokenProviderError, match="wrong username or password"):
        PasqalCloudClient(
            username=dev.username,
            password="guess",
            auth_config=dev.login,
            endpoints=dev.endpoints,
        )


@pytest.mark.parametrize(
    "form", [b"", b"grant_type=password", b"grant_type=magic&username=a&password=b", b"%%%"]
)
def test_a_login_that_is_no_login_is_refused(dev: Dev, form: bytes) -> None:
    answer = httpx.post(f"{dev.base_url}/oauth/token", content=form)
    assert answer.status_code == 400
    assert {"error", "error_description"} <= answer.json().keys()


def test_rebatch_of_an_open_batch_or_of_nothing_is_refused(cloud: Cloud) -> None:
    from pasqal_cloud.utils.filters import RebatchFilters

    batch = cloud.create_batch(fixed().to_abstract_repr(), [{"runs": 5}], open=True, tags=unique())
    with pytest.raises(RebatchError, match="open"):
        cloud.rebatch(batch.id)
    batch.close(wait=True)
    with pytest.raises(RebatchError, match="names no job"):
        cloud.rebatch(batch.id, RebatchFilters(min_runs=6))


def test_an_altered_or_expired_link_opens_nothing(http: httpx.Client, dev: Dev) -> None:
    made = http.post(BATCHES, json=body(dev)).json()["data"]
    dev.until_over(made["id"], 90)
    link = http.get(f"/api/v1/jobs/{made['job_ids'][0]}/results_link").json()["data"]
    url = httpx.URL(link["results_link"])
    assert httpx.get(url).json()["counter"]
    for altered in (
        url.copy_set_param("expires", "1"),
        url.copy_set_param("signature", "0" * 64),
        url.copy_remove_param("signature"),
        url.copy_with(path=f"/core-fast/api/v1/results/{uuid4()}"),
    ):
        assert httpx.get(altered).status_code in (403, 422)
