"""Answers, as JSON texts that are sent as they are."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi.responses import Response

from orchestrator.store.listings_jobs import JsonPage
from schemas.batch import Batch


def json_answer(
    text: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(text, status_code=status, media_type="application/json", headers=headers)


def page_text(page: JsonPage) -> str:
    """A `schemas.page.Page` whose items are texts."""
    return f'{{"items":{list_text(page.items)},"next_cursor":{json.dumps(page.next_cursor)}}}'


def list_text(items: Iterable[str]) -> str:
    return f"[{','.join(items)}]"


def created_text(batch: Batch, jobs: Iterable[str]) -> str:
    """A `schemas.batch.BatchCreated`."""
    return f'{batch.model_dump_json()[:-1]},"jobs":{list_text(jobs)}}}'


def added_text(jobs: Iterable[str]) -> str:
    """A `schemas.batch.JobsAdded`."""
    return f'{{"jobs":{list_text(jobs)}}}'


def plain_text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
