"""A browser without a screen: keeps cookies, and sends forms as the pages give them."""

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from orchestrator.services import members
from orchestrator.services.core import Core
from schemas.words import Role, Scope
from tests.integration.api_stack import Api
from tests.integration.puppet import PROJECT

ALL = frozenset(Scope)
PASSWORD = "correct horse battery"
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')
_KEY = re.compile(r'name="key" value="([0-9a-f]+)"')


class Guest:
    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30, headers={"Accept": "text/html"})
        self.page = ""

    def get(self, path: str, **options: Any) -> httpx.Response:
        answer = self.http.get(path, **options)
        self.page = answer.text
        return answer

    def post(self, path: str, fields: dict[str, Any] | None = None, *, on: str) -> httpx.Response:
        """Sends a form of the page `on`, with the proof that stands in it."""
        self.get(on)
        return self.send(path, {**self.proof(), **(fields or {})})

    def send(self, path: str, fields: dict[str, Any]) -> httpx.Response:
        """Just these fields."""
        return self.http.post(path, data=fields)

    def proof(self) -> dict[str, str]:
        """The hidden fields of the last page."""
        found = {"csrf": _CSRF.search(self.page), "key": _KEY.search(self.page)}
        return {name: match[1] for name, match in found.items() if match}

    def sign_in(self, username: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        fields = {"username": username, "password": password, **more}
        return self.post("/login", fields, on="/login")

    def sign_in_with(self, key: str) -> httpx.Response:
        return self.post("/login", {"api_key": key}, on="/login")


@contextmanager
def guest(api: Api, key: str | None = None) -> Generator[Guest]:
    """Signed in with the key, if there is one."""
    made = Guest(api.url)
    try:
        if key is not None:
            answer = made.sign_in_with(key)
            assert answer.status_code == 303, answer.text
        yield made
    finally:
        made.http.close()


def add_user(core: Core, name: str, role: Role, project: Any = PROJECT) -> None:
    hashed = members.hash_of(PASSWORD)
    with core.transaction() as tx:
        members.add(core, tx, project, name, role, hashed, granted_by=ALL)


def words(answer: httpx.Response, *wanted: str) -> Sequence[str]:
    """Those of them that are not on the page."""
    return [each for each in wanted if each not in answer.text]
