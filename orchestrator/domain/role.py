"""What members of a project may do. A role bounds all keys of its holder, older ones too."""

from collections.abc import Iterable
from typing import Final

from schemas.words import Role, Scope

SCOPES_OF: Final = {
    Role.READER: frozenset({Scope.READ}),
    Role.MEMBER: frozenset({Scope.READ, Scope.SUBMIT}),
    Role.OPERATOR: frozenset({Scope.READ, Scope.SUBMIT, Scope.OPERATE}),
    Role.OWNER: frozenset(Scope),
}


def may(scopes: Iterable[str]) -> frozenset[str]:
    """What these scopes allow; whoever may submit may also read."""
    held = frozenset(scopes)
    return held | {Scope.READ} if Scope.SUBMIT in held else held


def bounded(scopes: Iterable[str], role: str | None) -> frozenset[str]:
    """What a key allows while its user has that role. No role: nobody bounds it."""
    allowed = may(scopes)
    return allowed if role is None else allowed & SCOPES_OF[Role(role)]
