"""Where large results lie, said the same way to both sides."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class S3:
    """Where and how to reach an object store that speaks S3. None: the provider's default."""

    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    region: str | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        return cls(
            endpoint=env.get("HOLDFAST_S3_ENDPOINT") or None,
            access_key=env.get("HOLDFAST_S3_ACCESS_KEY") or None,
            secret_key=env.get("HOLDFAST_S3_SECRET_KEY") or None,
            region=env.get("HOLDFAST_S3_REGION") or None,
        )

    def __repr__(self) -> str:
        return f"S3(endpoint={self.endpoint!r}, region={self.region!r})"


def store_options(url: str, s3: S3) -> dict[str, Any]:
    """What obstore's `from_url` wants beside the URL. A local folder is made if it is missing;
    no call takes longer than about a minute."""
    if url.startswith("file:"):
        return {"mkdir": True}
    config = {
        "endpoint": s3.endpoint,
        "access_key_id": s3.access_key,
        "secret_access_key": s3.secret_key,
        "region": s3.region or "us-east-1",
        "virtual_hosted_style_request": None if s3.endpoint is None else "false",
    }
    return {
        "config": {key: value for key, value in config.items() if value is not None},
        "client_options": {
            "timeout": timedelta(seconds=30),
            "connect_timeout": timedelta(seconds=5),
            "allow_http": (s3.endpoint or "").startswith("http://"),
        },
        "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=20)},
    }
