"""Webhooks: where they may go, when they are tried again, and when an endpoint is given up."""

import re
import socket
from collections.abc import Iterable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL: Final = 2000
# 5 s after the first attempt, 30 s after the second, ...: ten attempts in a little under a day.
PAUSES_S: Final = (5, 30, 120, 600, 1800, 3600, 10_800, 21_600, 43_200)
JITTER: Final = 0.2
LONGEST_PAUSE_S: Final = 86_400
"""However long a `Retry-After` asks for."""
PATIENCE: Final = timedelta(hours=24)
"""An endpoint that has taken nothing for so long is disabled."""

_PRINTABLE: Final = re.compile(r"[!-~]+", re.ASCII)
_NUMERIC: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}", re.ASCII | re.I)
_UNICAST: Final = ip_network("2000::/3")
_NAT64: Final = ip_network("64:ff9b::/96")


def url_flaw(url: str, allowed: Iterable[Network]) -> str | None:
    """What is wrong with a webhook's URL, as far as the URL itself tells; a name is resolved only
    when a message is sent."""
    if not _PRINTABLE.fullmatch(url) or len(url) > LONGEST_URL:
        return f"must be at most {LONGEST_URL} ASCII characters, others percent-encoded"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "must be a URL such as https://example.org/hook"
    if parts.scheme not in ("http", "https") or not host or port == 0:
        return "must be a URL such as https://example.org/hook, with the scheme http or https"
    if "@" in parts.netloc:
        return "must not hold a user or a password: check the signature of the messages instead"
    address = literal(host)
    if address is not None and not may_reach(address, allowed):
        return refusal(host)
    return None


def refusal(host: str) -> str:
    """The address itself is not told: it may be the name's on the operator's own network."""
    return (
        f"{host} is not at an address of the public internet;"
        " the operator can allow its network with HOLDFAST_WEBHOOK_ALLOW"
    )


def literal(host: str) -> Address | None:
    """The address that a host is by its spelling alone. Resolvers also take 127.1 and 0x7f000001
    for addresses."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return IPv4Address("127.0.0.1")
    try:
        return ip_address(name)
    except ValueError:
        pass
    if not _NUMERIC.fullmatch(name):
        return None
    try:
        return IPv4Address(socket.inet_aton(name))
    except OSError:
        return None


def may_reach(address: Address, allowed: Iterable[Network]) -> bool:
    """Global unicast, or allowed by the operator. An IPv4 address inside an IPv6 one counts too."""
    inner = _inner(address)
    if any(address in network or (inner and inner in network) for network in allowed):
        return True
    if isinstance(address, IPv6Address):
        if inner is not None:
            return may_reach(inner, ())
        return address.is_global and address in _UNICAST
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _inner(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]


def next_attempt(
    number: int, now: datetime, chance: float, retry_after_s: float | None = None
) -> datetime | None:
    """When to try again after attempt `number` (from 1); None: never, the message is given up.

    `chance` is between 0 and 1. What the endpoint asks for can only make the pause longer.
    """
    if number > len(PAUSES_S):
        return None
    pause_s = PAUSES_S[number - 1] * (1 + JITTER * chance)
    return now + timedelta(seconds=max(pause_s, retry_after_s or 0))


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """A `Retry-After` header, seconds or a date, within bounds; None if it says nothing."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdecimal():
        wanted = float(text[:9])
    else:
        try:
            wanted = (parsedate_to_datetime(text) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(wanted, 0.0), LONGEST_PAUSE_S)


def why_disable(status: int | None, failing_since: datetime, now: datetime) -> str | None:
    """After a failed attempt: why the endpoint gets no more of them, or None."""
    if status == 410:
        return "it answered 410 Gone"
    if now - failing_since > PATIENCE:
        return f"every attempt has failed since {failing_since:%Y-%m-%d %H:%M} UTC"
    return None
