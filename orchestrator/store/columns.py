"""How tables are written here: names of constraints, moments, words."""

from typing import Any, Final

from sqlalchemy import Column, DateTime, MetaData, func, text
from sqlalchemy.types import TypeEngine

from schemas.words import BatchStatus, JobStatus, OnLost

metadata: Final = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_name)s_idx",
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s",
    }
)


def words(column: str, words: type[BatchStatus] | type[JobStatus] | type[OnLost]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


def moment(name: str, *, required: bool = False) -> Column[object]:
    return Column(
        name,
        DateTime(timezone=True),
        nullable=not required,
        server_default=func.now() if required else None,
    )


def column(kind: TypeEngine[Any] | type[TypeEngine[Any]], name: str, default: str) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=text(default))
