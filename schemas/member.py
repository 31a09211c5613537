"""Bodies of the native API that speak of a project's members."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.job import Body
from schemas.words import Role

Username = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\w.@+-]+$")]
Password = Annotated[str, Field(min_length=12, max_length=1000)]


class MemberIn(Body):
    """`password` makes a new user; one who is known keeps theirs, and is given none here."""

    username: Username
    role: Role
    password: Annotated[Password | None, Field(repr=False)] = None


class RoleIn(Body):
    role: Role


class Member(BaseModel):
    user_id: UUID
    username: str
    role: Role
