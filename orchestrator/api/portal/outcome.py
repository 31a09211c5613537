"""What a page shows of a result, whatever its shape and size."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from orchestrator.api.portal.charts import Column, Histogram, counts_in, histogram, spark
from orchestrator.store.listings_shown import OBJECTIVES

SHOWN_MOST: Final = 16 * 1024
"""Characters of the JSON that a page shows; the rest is a download."""


@dataclass(frozen=True, slots=True)
class ShownResult:
    """`size` in bytes, None where there is no result; `pretty` empty where it is too large to be
    read, and `cut` where only its beginning is there."""

    size: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    objective: tuple[str, float] | None = None
    value: Any = None

    def histogram(self, top: int) -> Histogram | None:
        return histogram(self.counts, top)

    @property
    def spark(self) -> list[Column]:
        return spark(self.counts)

    @property
    def pretty(self) -> str:
        return pretty(self.value) if self.value is not None else ""

    @property
    def cut(self) -> bool:
        return len(self.pretty) > SHOWN_MOST

    def beginning(self, most: int = SHOWN_MOST) -> str:
        return self.pretty[:most]


def outcome(text: str | None, size: int | None) -> ShownResult:
    if text is None:
        return ShownResult(size)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ShownResult(size)
    return ShownResult(size, counts_in(value), _objective(value), value)


def _objective(value: Any) -> tuple[str, float] | None:
    for name in OBJECTIVES if isinstance(value, dict) else ():
        found = value.get(name)
        if isinstance(found, int | float) and not isinstance(found, bool) and abs(found) < 1e300:
            return name, float(found)
    return None


def pretty(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""
