"""One POST, and what became of it, in words for the delivery log."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from ssl import SSLContext
from typing import Final
from urllib.parse import urlsplit

import httpcore

from orchestrator.domain.webhook import Network
from orchestrator.webhooks.network import Guard, Refused

_READ_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Answer:
    """`error` is None if and only if the status is 2xx; `status` is None if there was no answer."""

    status: int | None
    error: str | None
    retry_after: str | None = None


def post(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    allowed: Iterable[Network],
    whole_s: float,
) -> Answer:
    """Never raises for what the other side does. Follows no redirect and uses no proxy."""
    guard = Guard(allowed, whole_s)
    sent = {
        "Host": urlsplit(url).netloc,
        "Content-Type": "application/json",
        "User-Agent": "holdfast",
        **headers,
    }
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_tls(), network_backend=guard) as pool,
            pool.stream("POST", url, headers=_pairs(sent), content=body) as response,
        ):
            _skim(response)
            return _judged(response)
    except Refused as error:
        return Answer(None, str(error))
    except httpcore.ConnectTimeout as error:
        return Answer(None, str(error) or "no connection in time")
    except httpcore.TimeoutException:
        return Answer(None, f"no whole answer within {whole_s:g} s")
    except httpcore.ConnectError as error:
        return Answer(None, f"no connection: {_plain(error)}")
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        return Answer(None, f"the connection broke: {_plain(error)}")
    except (OSError, ValueError) as error:
        return Answer(None, f"it could not be sent: {_plain(error)}")


@cache
def _tls() -> SSLContext:
    """The public authorities, and those that the machine's operator has added."""
    context = httpcore.default_ssl_context()
    context.load_default_certs()
    return context


def _pairs(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _skim(response: httpcore.Response) -> None:
    """A little of the body, so that an ordinary answer is taken to its end; it is not kept. The
    status has come: what goes wrong from here on changes nothing."""
    seen = 0
    with suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        for piece in response.iter_stream():
            seen += len(piece)
            if seen > _READ_BYTES:
                return


def _judged(response: httpcore.Response) -> Answer:
    status = response.status
    if 200 <= status < 300:
        return Answer(status, None)
    header = next((v for n, v in response.headers if n.lower() == b"retry-after"), None)
    retry_after = None if header is None else header.decode("latin-1")[:100]
    what = "a redirect, which is not followed" if 300 <= status < 400 else _phrase(status)
    return Answer(status, f"it answered {status}: {what}", retry_after)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "not a 2xx"


def _plain(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:200]
