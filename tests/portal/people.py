"""Who works at the laboratory."""

from dataclasses import dataclass, field
from typing import Final

import holdfast

from orchestrator import bootstrap
from schemas.words import Role
from tests.submit.dev import Dev

STAFF: Final = {"rosa": Role.READER, "milan": Role.MEMBER, "olga": Role.OPERATOR}
OUTSIDER: Final = "stranger"


@dataclass(frozen=True)
class User:
    """Who may sign in. The key may do what they may."""

    username: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)
    project_id: str


def hired(dev: Dev) -> dict[str, User]:
    """By role in the project; the stranger owns another project on the same server."""
    found = {OUTSIDER: _made(dev, "stella", "other lab")}
    found[Role.OWNER] = _made(dev, "ines", "default")
    with holdfast.Client(dev.base_url, dev.api_key) as client:
        for name, role in STAFF.items():
            found[role] = _made(dev, name, "default")
            (member,) = (each for each in client.members.all() if each.username == name)
            client.members.set_role(member.user_id, role)
    return found


def _made(dev: Dev, name: str, project: str) -> User:
    """As an operator makes the first user of a project: with a key of their own."""
    made = bootstrap.prepare(dev.database_url, [], project=project, username=name)
    return User(made.username, made.password, made.api_key, made.project_id)
