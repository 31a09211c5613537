"""Messages: what a webhook is told, signed as Standard Webhooks wants it."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from orchestrator.services.core import Core
from orchestrator.services.links import result_link
from orchestrator.store.listings_webhooks import type_of, webhook_id

INLINE_BYTES: Final = 20_000
LINK_TTL_S: Final = 86_400


def body_of(core: Core, told: Mapping[str, Any], at: datetime) -> str:
    """JSON. `told` is a row of `store.webhooks.content`; `at` is now."""
    data = _batch_data(told) if told["job_id"] is None else _job_data(core, told, at)
    message = {
        "type": type_of(told["job_id"], told["status"]),
        "timestamp": _moment(told["at"]),
        "data": {"project_id": str(told["project_id"]), "batch_id": str(told["batch_id"]), **data},
    }
    return json.dumps(message, separators=(",", ":"))


def headers_of(event: str, body: str, secrets: Sequence[str], at: datetime) -> dict[str, str]:
    """One signature for each secret, so that a receiver may check with any of them."""
    # Imported when it is first needed: most control processes never send one.
    from standardwebhooks import Webhook

    name, now = webhook_id(event), at.astimezone(UTC)
    signatures = [Webhook(secret).sign(msg_id=name, timestamp=now, data=body) for secret in secrets]
    return {
        "webhook-id": name,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _job_data(core: Core, told: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    data = {
        "job_id": str(told["job_id"]),
        "ordinal": told["ordinal"],
        "status": told["status"],
        "reason": _reason(told, "job"),
        "device": told["device"],
        "created_at": _moment(told["created_at"]),
        "started_at": _moment(told["started_at"]),
        "ended_at": _moment(told["at"]),
    }
    if told["value"] is not None:
        data["result"] = json.loads(told["value"])
    elif told["has_result"]:
        data["result_url"] = _address(core, told, at)
    return data


def _batch_data(told: Mapping[str, Any]) -> dict[str, Any]:
    counts = ("total", "left", "done", "failed", "canceled")
    return {
        "name": told["name"],
        "tags": told["tags"],
        "parent_id": None if told["parent_id"] is None else str(told["parent_id"]),
        "status": told["status"],
        "reason": _reason(told, "batch"),
        "jobs": {word: told[f"jobs_{word}"] for word in counts},
        "created_at": _moment(told["batch_created_at"]),
        "started_at": _moment(told["batch_started_at"]),
        "ended_at": _moment(told["at"]),
    }


def _reason(told: Mapping[str, Any], whose: str) -> str | None:
    """That of this ending: a batch that was revived since has another status, or none."""
    said = (told["detail"] or {}).get("reason")
    if said is None and told[f"{whose}_status"] == told["status"]:
        said = told[f"{whose}_reason"]
    return said


def _address(core: Core, told: Mapping[str, Any], at: datetime) -> str:
    """Opens without a key for a day; without a public URL only a path, which needs one."""
    if not core.settings.public_url:
        return f"/v1/jobs/{told['job_id']}/result"
    return result_link(core, core.settings.public_url, told["job_id"], at, LINK_TTL_S)


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
