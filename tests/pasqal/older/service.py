"""The stack that the older client is pointed at; the one argument names its ready file."""

# mypy: ignore-errors
# ^ What these programs import is not in the environment that is type-checked.

import json
import sys
import time
from pathlib import Path

from pasqal_cloud.authentication import TokenProvider
from pasqal_cloud.endpoints import Endpoints, TokenProviderConf

READY = json.loads(Path(sys.argv[1]).read_text())
URL = READY["base_url"]


class Key(TokenProvider):
    def get_token(self):
        return READY["api_key"]


def with_password():
    login = TokenProviderConf(
        token_endpoint=f"{URL}/oauth/token",
        public_client_id="any",
        audience="any",
        realm="pcs-users",
        grant_type="http://auth0.com/oauth/grant-type/password-realm",
    )
    return {
        "username": READY["username"],
        "password": READY["password"],
        "auth_config": login,
        **_where(),
    }


def with_token():
    return {"token_provider": Key(), **_where()}


def _where():
    endpoints = Endpoints(core=f"{URL}/core-fast", account=f"{URL}/account")
    return {"endpoints": endpoints, "project_id": READY["project_id"]}


def until_over(remote):
    """Until no job of Pulser's RemoteResults is waited for any more."""
    deadline = time.monotonic() + 60
    while len(remote.get_available_results()) < len(remote.job_ids):
        assert time.monotonic() < deadline, remote.get_batch_status()
        time.sleep(0.2)


def tell(**facts):
    """The last line that a program prints."""
    print(json.dumps(facts))
