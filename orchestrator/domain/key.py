"""What a key looks like, so that a typing mistake is told without a look at any database.

`av_` (workspace) and `rn_` (runner) are followed by the secret and six characters that are made
from all before them. `hf_` keys come from earlier versions and have no such end.
"""

import string
import zlib
from typing import Final

from schemas.words import KeyKind, Scope

PREFIXES: Final = {KeyKind.WORKSPACE: "av_", KeyKind.RUNNER: "rn_"}
OLD_PREFIX: Final = "hf_"
TOKEN_PREFIX: Final = "ct_"
"""Of a controller's token, which is no key."""
RUNNER_SCOPES: Final = (Scope.SUBMIT,)
"""What the user of a runner key must be allowed to do, for the key to be good."""

_SIGNS: Final = string.digits + string.ascii_letters
_CHECK: Final = 6


def sealed(kind: KeyKind, secret: str) -> str:
    body = PREFIXES[kind] + secret
    return body + _check_of(body)


def looks_like_key(text: str) -> bool:
    return text.startswith((*PREFIXES.values(), OLD_PREFIX))


def is_mistyped(key: str) -> bool:
    """Whether the end of a key does not fit what is before it: it never was one of ours."""
    if not key.startswith(tuple(PREFIXES.values())):
        return False
    return key[-_CHECK:] != _check_of(key[:-_CHECK])


def masked(prefix: str, last4: str) -> str:
    """`av_••••x8m2`: enough to tell keys apart, and nothing to use."""
    return f"{prefix}••••{last4}" if last4 else prefix


def _check_of(body: str) -> str:
    number, found = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):
        number, sign = divmod(number, len(_SIGNS))
        found = _SIGNS[sign] + found
    return found
