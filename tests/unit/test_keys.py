"""What keys look like, and what roles allow."""

import secrets
import string

import pytest

from orchestrator.domain.key import PREFIXES, is_mistyped, looks_like_key, masked, sealed
from orchestrator.domain.role import bounded
from schemas.words import KeyKind, Role, Scope

ALLOWED = {
    Role.READER: "read",
    Role.MEMBER: "read submit",
    Role.OPERATOR: "read submit operate",
    Role.OWNER: "read submit operate admin",
}


@pytest.mark.parametrize("kind", KeyKind)
def test_a_mistyped_key_is_told_without_a_database(kind: KeyKind) -> None:
    key = sealed(kind, secrets.token_urlsafe(32))
    assert (len(key), key.startswith(PREFIXES[kind])) == (52, True)
    assert not is_mistyped(key)
    for place in range(3, len(key)):
        other = next(sign for sign in string.ascii_letters if sign != key[place])
        assert is_mistyped(key[:place] + other + key[place + 1 :]), place
    assert is_mistyped(key[:-1])
    assert is_mistyped(key[:3])


def test_a_key_of_an_earlier_version_has_nothing_to_be_mistyped() -> None:
    assert looks_like_key("hf_whatever")
    assert not is_mistyped("hf_whatever")


@pytest.mark.parametrize("word", ["", "av", "eyJhbGciOiJIUzI1NiJ9.e30.x", "ct_token"])
def test_other_words_are_no_keys(word: str) -> None:
    assert not looks_like_key(word)


def test_a_listed_key_shows_its_kind_and_its_end() -> None:
    assert masked("rn_", "p3k9") == "rn_••••p3k9"
    assert masked("hf_AbCdEf", "") == "hf_AbCdEf"


@pytest.mark.parametrize("role", Role)
def test_a_role_bounds_every_key(role: Role) -> None:
    assert bounded(Scope, role) == set(ALLOWED[role].split())


def test_a_key_for_submitting_still_reads_when_its_user_becomes_a_reader() -> None:
    assert bounded(["submit"], Role.READER) == {"read"}


def test_a_role_gives_a_key_no_scope_that_it_lacks() -> None:
    assert bounded(["read"], Role.OWNER) == {"read"}
    assert bounded([], Role.OWNER) == set()
