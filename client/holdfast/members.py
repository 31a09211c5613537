"""Members of the key's project, and what each may do."""

from dataclasses import dataclass

from holdfast.reading import given, read
from holdfast.records import Value
from holdfast.transport import Transport, path


@dataclass(frozen=True, kw_only=True)
class Member(Value):
    """`role`: reader, member (may also submit), operator (devices too), owner (keys and members
    too). It bounds every key of theirs."""

    user_id: str
    username: str
    role: str


class Members:
    """`Client.members`. All of it needs a key with the scope `admin`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def all(self) -> list[Member]:
        return [read(Member, each) for each in self._transport.pages(path("members"))]

    def add(self, username: str, role: str, *, password: str | None = None) -> Member:
        """A password for one who is no user yet; who is one keeps theirs."""
        body = given(username=username, role=role, password=password)
        return read(Member, self._transport.post(path("members"), body))

    def set_role(self, user_id: str, role: str) -> Member:
        return read(Member, self._transport.post(path("members", user_id, "role"), {"role": role}))

    def remove(self, user_id: str) -> None:
        """Their keys in the project are revoked."""
        self._transport.call("DELETE", path("members", user_id))
