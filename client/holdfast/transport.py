"""One call over HTTP: authorised, retried, its errors typed.

Every POST carries an idempotency key that stays the same over its retries, so an answer lost
on the way never makes two batches out of one.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote

import httpx

from holdfast.deadline import NEVER, Backoff, Deadline
from holdfast.errors import ApiError, ConnectionFailed, NotConfigured, RateLimited, from_problem
from holdfast.reading import dump

logger = logging.getLogger(__name__)

RETRIED: Final = frozenset({429, 502, 503, 504})
LONGEST_PAUSE_S: Final = 60.0
SHORTEST_CALL_S: Final = 0.5
"""A deadline may cut a call short, but leaves it this long to be answered at all."""


def path(*parts: str | int) -> str:
    """`/v1/...`; each part is quoted, so that no id can name another resource."""
    return "/v1/" + "/".join(quote(str(part), safe="") for part in parts)


class Transport:
    """The connection to one server. Safe to share between threads."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float,
        retries: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = _checked_url(base_url)
        self.timeout = timeout
        self._retries = retries
        self._sleep = sleep
        self.http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {_checked_key(api_key)}"},
            timeout=timeout,
        )

    def __repr__(self) -> str:
        return f"Transport({self.shown_url!r})"

    @property
    def shown_url(self) -> str:
        """The address, without a password that may be part of it."""
        url = httpx.URL(self.url)
        return str(url.copy_with(username=None, password=None)) if url.userinfo else self.url

    def close(self) -> None:
        self.http.close()

    def get(self, where: str, deadline: Deadline = NEVER, **params: Any) -> Any:
        return self.call("GET", where, params=params, deadline=deadline)

    def post(self, where: str, body: Any = None, *, key: str | None = None) -> Any:
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return self.call("POST", where, body=body, headers=headers)

    def pages(
        self, where: str, deadline: Deadline = NEVER, **params: Any
    ) -> Iterator[dict[str, Any]]:
        """Every item of a listing; the next page is fetched when it is reached."""
        while True:
            page = self.get(where, deadline, **params)
            yield from _items(page)
            if not page.get("next_cursor"):
                return
            params["cursor"] = page["next_cursor"]

    def call(
        self,
        method: str,
        where: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        deadline: Deadline = NEVER,
    ) -> Any:
        """The JSON of the answer, None where it has none; ApiError or ConnectionFailed. A body
        of bytes is JSON already. What is not there is deleted, where an earlier answer was lost."""
        content = body if body is None or isinstance(body, bytes) else dump(body)
        sent = {**(headers or {}), **({"Content-Type": "application/json"} if content else {})}
        backoff, lost = Backoff(0.1, 5.0), False
        for left in range(self._retries, -1, -1):
            try:
                answer = self.http.request(
                    method,
                    where,
                    params=params,
                    content=content,
                    headers=sent,
                    timeout=deadline.cap(self.timeout, SHORTEST_CALL_S),
                )
            except httpx.TransportError as error:
                failure: ApiError | ConnectionFailed = self.unreachable(error)
                pause, lost = backoff.pause(), lost or not isinstance(error, httpx.ConnectError)
            else:
                if lost and method == "DELETE" and answer.status_code == 404:
                    return None
                if answer.status_code not in RETRIED:
                    return _content(answer)
                failure = error_of(answer)
                pause = max(backoff.pause(), _retry_after(answer))
            if not left or deadline.passed():
                raise failure
            logger.debug("%s %s failed, asked again in %.2f s", method, where, pause)
            self._sleep(deadline.cap(pause))
        raise AssertionError("the last attempt returns or raises")

    def unreachable(self, error: Exception) -> ConnectionFailed:
        why = str(error) or type(error).__name__
        return ConnectionFailed(f"no answer from {self.shown_url}: {why}. Is the server running?")


def error_of(answer: httpx.Response) -> ApiError:
    """The typed error of an answer that was read."""
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    error = from_problem(answer.status_code, problem)
    if isinstance(error, RateLimited):
        error.retry_after = _retry_after(answer)
    return error


def _content(answer: httpx.Response) -> Any:
    if not answer.is_success:
        raise error_of(answer)
    if not answer.content:
        return None
    try:
        return json.loads(answer.content)
    except ValueError:
        raise from_problem(answer.status_code, None) from None


def _items(page: Any) -> list[dict[str, Any]]:
    if isinstance(page, dict) and isinstance(page.get("items"), list):
        items: list[dict[str, Any]] = page["items"]
        return items
    raise ApiError(200, "unexpected_answer", "the answer is not a page of a listing")


def _retry_after(answer: httpx.Response) -> float:
    """Seconds that the server asks to wait, at most a minute; 0 if it does not say."""
    said = answer.headers.get("Retry-After", "").strip()
    if not said:
        return 0.0
    try:
        seconds = float(said) if said.isdecimal() else _seconds_until(said)
    except ValueError:
        return 0.0
    return min(LONGEST_PAUSE_S, max(0.0, seconds))


def _seconds_until(moment: str) -> float:
    when = parsedate_to_datetime(moment)
    return (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _checked_url(base_url: str) -> str:
    url = base_url.strip().rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise NotConfigured(f"base_url must begin with http:// or https://, got {url!r}")
    return url


def _checked_key(api_key: str) -> str:
    key = api_key.strip()
    # Refused here, because httpx would put the whole key into its own message.
    if not key or not key.isascii() or not key.isprintable():
        raise NotConfigured("the API key is empty or holds characters that no key has")
    return key
