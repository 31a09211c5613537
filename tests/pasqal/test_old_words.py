"""What the client calls deprecated still does what it always did."""

import importlib
from typing import Any

import pytest

from tests.pasqal.conftest import Cloud, Dev, Key
from tests.pasqal.programs import fixed, unique


def old_name(name: str) -> Any:
    """As programs imported it before the client was tidied up."""
    module = importlib.import_module("pasqal_cloud")
    vars(module).pop(name, None)
    with pytest.warns(DeprecationWarning, match=name):
        return getattr(module, name)


def test_the_old_sdk_class_logs_in_and_runs(dev: Dev) -> None:
    sdk_class, endpoints = old_name("SDK"), old_name("Endpoints")
    with pytest.warns(DeprecationWarning, match="SDK"):
        sdk = sdk_class(
            username=dev.username,
            password=dev.password,
            auth_config=dev.login,
            endpoints=endpoints(core=dev.core, account=f"{dev.base_url}/account"),
            project_id=dev.project_id,
        )
    batch = sdk.create_batch(fixed().to_abstract_repr(), [{"runs": 5}], tags=unique(), wait=True)
    assert sum(batch.ordered_jobs[0].result.values()) == 5


def test_results_are_fetched_by_the_old_word(cloud: Cloud) -> None:
    with pytest.warns(DeprecationWarning, match="fetch_results"):
        batch = cloud.create_batch(
            fixed().to_abstract_repr(), [{"runs": 5}], tags=unique(), fetch_results=True
        )
    assert batch.ordered_jobs[0].result
    with pytest.warns(DeprecationWarning, match="fetch_results"):
        again = cloud.get_batch(batch.id, fetch_results=True)
    assert again.ordered_jobs[0].result == batch.ordered_jobs[0].result


def test_the_old_filter_names_are_the_filters(dev: Dev, cloud: Cloud) -> None:
    filters, pages = old_name("JobFilters"), old_name("PaginationParams")
    found = cloud.get_jobs(
        filters=filters(project_id=dev.project_id), pagination_params=pages(limit=1)
    )
    assert len(found.results) == min(1, found.total)


def test_a_token_of_ones_own_provider_is_asked_for_each_call(dev: Dev, cloud: Cloud) -> None:
    asked: list[str] = []

    class Counted(Key):
        def get_token(self) -> str:
            asked.append("once")
            return super().get_token()

    client = type(cloud)(
        token_provider=Counted(dev.api_key), endpoints=dev.endpoints, project_id=dev.project_id
    )
    client.get_jobs()
    client.get_batches()
    assert len(asked) == 2
