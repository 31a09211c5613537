"""One call to the server: every end is an answer or one of three errors, and comes in time."""

import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx
from pydantic import BaseModel

API: Final = "/api/v1"
CALL_S: Final = 10.0
_AGAIN: Final = frozenset({408, 425, 429})


class Unreachable(Exception):
    """No answer, or one that may be another the next time."""


class Refused(Exception):
    """The server's word, which the same call would get again."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.headers = headers


class Taken(Refused):
    """The key or the token is not valid (any more): another process has the name."""


class Link:
    """Safe to use from several threads. `key`: the runner key until there is a token."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.Client(
            base_url=url + API,
            timeout=CALL_S,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )
        self.key = key

    def post(self, path: str, body: BaseModel | None = None, *, wait_s: float = CALL_S) -> Any:
        return self.send("POST", path, _json(body), wait_s=wait_s)

    def send(
        self,
        method: str,
        path: str,
        content: bytes | None,
        *,
        wait_s: float = CALL_S,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        """The JSON of the answer. Raises `Unreachable`, `Refused` or `Taken`."""
        headers = {
            "Authorization": f"Bearer {self.key}",
            **({"Content-Type": "application/json"} if content is not None else {}),
            **(headers or {}),
        }
        try:
            answer = self._http.request(
                method, path, content=content, headers=headers, params=params, timeout=wait_s
            )
        except httpx.HTTPError as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        if not answer.is_success:
            raise _error(answer)
        try:
            return answer.json() if answer.content else {}
        except ValueError as error:
            raise Unreachable("the answer is no JSON: is there a proxy in between?") from error

    def close(self) -> None:
        self._http.close()


def pauses(least_s: float, most_s: float) -> Iterator[float]:
    """Growing, and never the same for two controllers whose server comes back."""
    pause = least_s
    while True:
        yield random.uniform(pause / 2, pause)
        pause = min(pause * 2, most_s)


def _error(answer: httpx.Response) -> Exception:
    status = answer.status_code
    try:
        said = answer.json()
    except ValueError:
        said = None
    body: dict[str, Any] = said if isinstance(said, dict) else {}
    text = str(body.get("detail") or body.get("title") or "no reason given")[:500]
    if status == 401:
        return Taken(status, text, answer.headers)
    if status >= 500 or status in _AGAIN or 300 <= status < 400:
        return Unreachable(f"{status}: {text}")
    return Refused(status, text, answer.headers)


def _json(body: BaseModel | None) -> bytes | None:
    return None if body is None else body.model_dump_json(by_alias=True).encode()
