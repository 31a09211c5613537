"""Where webhooks may go, and when they are tried again."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest

from orchestrator.config import BadSettings, Settings
from orchestrator.domain.webhook import (
    LONGEST_PAUSE_S,
    PAUSES_S,
    may_reach,
    next_attempt,
    retry_after_s,
    url_flaw,
    why_disable,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/hook?token=1",
        "http://example.org:8080",
        "https://93.184.215.14/",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/hook",
    ],
)
def test_a_public_http_url_is_taken(url: str) -> None:
    assert url_flaw(url, ()) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://example.org/", "scheme"),
        ("https:///hook", "scheme"),
        ("example.org/hook", "scheme"),
        ("http://example.org:0/", "scheme"),
        ("http://example.org:99999/", "URL such as"),
        ("http://[::1/", "URL such as"),
        ("http://ada:secret@example.org/", "password"),
        ("http://@example.org/", "password"),
        ("http://example.org/ hook", "ASCII"),
        ("http://example.org/\u00e9", "ASCII"),
        ("http://example.org/\nHost: x", "ASCII"),
        ("http://example.org/" + "x" * 2000, "2000"),
        ("http://127.0.0.1/", "public internet"),
        ("http://127.1/", "public internet"),
        ("http://2130706433/", "public internet"),
        ("http://0x7f.0.0.1/", "public internet"),
        ("http://localhost/", "public internet"),
        ("http://api.localhost./", "public internet"),
        ("http://[::1]:80/", "public internet"),
        ("http://169.254.169.254/latest", "public internet"),
    ],
)
def test_a_url_that_must_not_be_used_is_refused_with_the_reason(url: str, said: str) -> None:
    assert said in str(url_flaw(url, ()))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "192.0.2.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:a00:1::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_no_address_inside_a_network_is_reached(address: str) -> None:
    assert not may_reach(ip_address(address), ())


def test_a_public_address_is_reached_in_whatever_form() -> None:
    for address in ("8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700::1111"):
        assert may_reach(ip_address(address), ())


def test_the_operator_can_allow_a_network() -> None:
    allowed = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1"):
        assert may_reach(ip_address(address), allowed)
    assert not may_reach(ip_address("192.168.1.1"), allowed)
    assert url_flaw("http://10.1.2.3/", allowed) is None


def test_pauses_grow_from_seconds_to_hours_and_then_the_message_is_given_up() -> None:
    at = [next_attempt(number, NOON, 0.5) for number in range(1, len(PAUSES_S) + 2)]
    pauses = [each - NOON for each in at[:-1] if each is not None]
    assert (pauses, len(pauses)) == (sorted(pauses), len(PAUSES_S))
    assert pauses[0] < timedelta(seconds=10)
    assert timedelta(hours=20) < sum(pauses, timedelta()) < timedelta(hours=28)
    assert at[-1] is None


def test_chance_spreads_the_attempts_of_many_messages() -> None:
    first, last = next_attempt(3, NOON, 0.0), next_attempt(3, NOON, 1.0)
    assert first is not None
    assert last is not None
    assert (last - first).total_seconds() == pytest.approx(0.2 * PAUSES_S[2])


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 01 Mar 2026 12:05:00 GMT", 300.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("99999999999999999999", LONGEST_PAUSE_S),
        ("-5", None),
        ("soon", None),
        ("Sun, 01 Mar 2026 12:05:00 -0000", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_within_bounds(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOON) == seconds


def test_retry_after_makes_a_pause_longer_and_never_shorter() -> None:
    assert next_attempt(1, NOON, 0, 60) == NOON + timedelta(seconds=60)
    assert next_attempt(6, NOON, 0, 60) == NOON + timedelta(seconds=PAUSES_S[5])


def test_gone_and_a_day_of_failures_disable_an_endpoint() -> None:
    assert why_disable(410, NOON, NOON) == "it answered 410 Gone"
    assert why_disable(500, NOON, NOON + timedelta(hours=23)) is None
    assert "2026-03-01 12:00" in str(why_disable(None, NOON, NOON + timedelta(hours=25)))


def test_the_settings_are_checked_at_start() -> None:
    servers = {
        "HOLDFAST_DATABASE_URL": "postgresql://db/holdfast",
        "HOLDFAST_BROKER_URL": "redis://broker/0",
    }
    given = {"HOLDFAST_WEBHOOK_ALLOW": "10.0.0.0/8, ::1", "HOLDFAST_PUBLIC_URL": "https://h.org/"}
    found = Settings.from_env(servers | given)
    assert found.webhook_allow == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert found.public_url == "https://h.org"
    wrong = {"HOLDFAST_WEBHOOK_ALLOW": "10.0.0.0/99", "HOLDFAST_PUBLIC_URL": "h.org"}
    with pytest.raises(BadSettings) as refused:
        Settings.from_env(servers | wrong)
    assert len(refused.value.problems) == 2
