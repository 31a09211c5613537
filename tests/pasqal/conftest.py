"""A whole `holdfast dev` in real processes, and the client of PASQAL Cloud in front of it."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest
from pasqal_cloud.authentication import TokenProvider
from pasqal_cloud.endpoints import Endpoints, TokenProviderConf
from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient

from orchestrator.embedded.process import ended_within, kill_group, spawn
from tests.waiting import until

Cloud = Any
"""A `PasqalCloudClient`; the programs of its users are not typed either."""

HOLDFAST = Path(sys.executable).with_name("holdfast")
WORDS = (
    *("dev", "--port", "0", "--no-flower", "--idle-timeout", "20"),
    *("--device", "emu-a:EMU_FREE", "--device", "qpu-b:FRESNEL:pulser"),
)
REALM = "http://auth0.com/oauth/grant-type/password-realm"


@dataclass(frozen=True)
class Dev:
    """The ready file."""

    base_url: str
    project_id: str
    username: str
    password: str
    api_key: str
    database_url: str

    @property
    def core(self) -> str:
        return f"{self.base_url}/core-fast"

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints(core=self.core, account=f"{self.base_url}/account")

    @property
    def login(self) -> TokenProviderConf:
        return TokenProviderConf(
            token_endpoint=f"{self.base_url}/oauth/token",
            public_client_id="any",
            audience="any",
            realm="pcs-users",
            grant_type=REALM,
        )

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        url = self.database_url.replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    @property
    def signing_secret(self) -> bytes:
        """What tokens are signed with: made by the first call."""
        mine = {"Authorization": f"Bearer {self.api_key}"}
        assert httpx.get(f"{self.base_url}/account/api/v1/projects", headers=mine).is_success
        [(secret,)] = self.sql("SELECT secret FROM signing_key")
        return bytes(secret)

    def as_user(self, name: str, *projects: str) -> dict[str, str]:
        """The header of another user: a member of these projects, or else of ours."""
        [(user,)] = self.sql(
            'INSERT INTO "user" (id, username, password_hash)'
            " VALUES (gen_random_uuid(), %s, 'none') ON CONFLICT (username)"
            " DO UPDATE SET password_hash = 'none' RETURNING id::text",
            name,
        )
        for project in projects or [self.project_id]:
            self.sql(
                "INSERT INTO membership (user_id, project_id) VALUES (%s, %s)"
                " ON CONFLICT DO NOTHING RETURNING 1",
                user,
                project,
            )
        now = datetime.now(UTC)
        claims = {"iss": "holdfast", "sub": user, "iat": now, "exp": now + timedelta(hours=1)}
        return {
            "Authorization": f"Bearer {jwt.encode(claims, self.signing_secret, algorithm='HS256')}"
        }

    def until_over(self, batch: str, timeout_s: float) -> None:
        ended = "SELECT 1 FROM batch WHERE id = %s AND ended_at IS NOT NULL"
        until(lambda: self.sql(ended, batch), timeout_s)


class Key(TokenProvider):
    def __init__(self, key: str) -> None:
        self._key = key

    def get_token(self) -> str:
        return self._key


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("dev")
    ready, log = folder / "ready.json", folder / "dev.log"
    env = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    env["HOLDFAST_WEBHOOK_ALLOW"] = "127.0.0.1/32"
    words: list[str | Path] = [
        HOLDFAST,
        *WORDS,
        "--data-dir",
        str(folder / "data"),
        "--ready-file",
        str(ready),
    ]
    stack = spawn(words, log=log, death_signal=signal.SIGTERM, env=env)
    try:
        until(lambda: ready.exists() or stack.poll() is not None, 90)
        assert ready.exists(), log.read_text(errors="replace")
        told = json.loads(ready.read_text())
        yield Dev(**{name: told[name] for name in Dev.__dataclass_fields__})
    finally:
        stack.terminate()
        if not ended_within(stack, 40):
            kill_group(stack)


@pytest.fixture(scope="session")
def cloud(dev: Dev) -> PasqalCloudClient:
    """Logged in with user and password."""
    return PasqalCloudClient(
        username=dev.username,
        password=dev.password,
        auth_config=dev.login,
        endpoints=dev.endpoints,
        project_id=dev.project_id,
    )


@pytest.fixture(scope="session")
def by_key(dev: Dev) -> PasqalCloudClient:
    """With the API key for a token."""
    return PasqalCloudClient(
        token_provider=Key(dev.api_key), endpoints=dev.endpoints, project_id=dev.project_id
    )


@pytest.fixture
def http(dev: Dev) -> Iterator[httpx.Client]:
    """For what no client would send."""
    headers = {"Authorization": f"Bearer {dev.api_key}"}
    with httpx.Client(base_url=dev.core, headers=headers, timeout=30) as client:
        yield client
