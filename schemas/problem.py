"""Errors as RFC 9457 problem details (application/problem+json)."""

from pydantic import BaseModel


class FieldError(BaseModel):
    """`field` is a path such as `jobs[3].runs`."""

    field: str
    message: str


class Problem(BaseModel):
    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldError] = []
