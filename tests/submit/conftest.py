"""One whole `holdfast dev`, and the client configured for it."""

from collections.abc import Iterator

import holdfast
import pytest

from tests.submit.dev import Dev, running_dev


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    # Else every third test would wait for the rest of a minute.
    settings = {"HOLDFAST_BATCHES_PER_MINUTE": "100"}
    with running_dev(tmp_path_factory.mktemp("dev"), **settings) as dev:
        yield dev


@pytest.fixture(autouse=True)
def client(dev: Dev, monkeypatch: pytest.MonkeyPatch) -> Iterator[holdfast.Client]:
    monkeypatch.setattr("holdfast.default._client", None)
    with holdfast.configure(api_key=dev.api_key, base_url=dev.base_url) as client:
        yield client
