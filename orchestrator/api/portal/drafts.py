"""What somebody wants to submit, as it goes to and fro between the form and us until it is right.

Nothing of it is kept here: the form carries all of it, each time.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import from_json

from orchestrator.api.bodies import parse
from orchestrator.api.portal.forms import Form
from orchestrator.domain.sequence import REQUIRED_KEYS, SequenceFacts, check_sequence
from orchestrator.errors import Flaw, Rejected
from schemas.batch import BatchIn

EDITED_MOST: Final = 200
"""Jobs that are shown as rows to fill in; a longer file is taken as it is."""
CELLS_MOST: Final = 4000
"""Below what a form may have fields."""
QUBITS: Final = "qubits"
RUNS_FIRST: Final = 100
_OF_A_ROW: Final = {"runs", "variables"}


@dataclass(frozen=True)
class Draft:
    """`text` is what was pasted or uploaded, `given` the batch in it, all but its jobs; `rows`
    are the jobs as cells of text, by column, where they can be filled in, and `jobs` where not."""

    text: str
    kind: str
    given: dict[str, Any]
    columns: tuple[str, ...] = ()
    rows: tuple[dict[str, str], ...] = ()
    jobs: tuple[Any, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)

    @property
    def edited(self) -> bool:
        return self.kind == "sequence" or bool(self.rows)

    def body(self, settings: Mapping[str, Any]) -> BatchIn:
        """With `settings` in place of the file's own. Raises Rejected with every flaw."""
        jobs: Sequence[Any] = self.jobs
        if self.edited:
            jobs = [_job(i, row) for i, row in enumerate(self.rows) if row]
        return parse(BatchIn, json.dumps({**self.given, **settings, "jobs": jobs}).encode())


def read(text: str, form: Form, *, max_bytes: int) -> Draft:
    """`text`: a serialized sequence, a batch, or a list of jobs. The rows are the form's, or the
    text's own where the form has none yet. Raises Rejected."""
    try:
        found = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise Rejected([Flaw("text", f"is not JSON: {error}")]) from None
    if isinstance(found, list):
        found = {"jobs": found}
    if not isinstance(found, dict):
        raise Rejected([Flaw("text", "must be a sequence, a batch, or a list of jobs")])
    if found.keys() >= REQUIRED_KEYS:
        return _of_sequence(text, form, max_bytes)
    if "jobs" not in found and "device_type" not in found:
        message = (
            "is neither a serialized Pulser sequence (Sequence.to_abstract_repr()) nor a batch:"
            ' {"device_type": ..., "jobs": [...]}'
        )
        raise Rejected([Flaw("text", message)])
    return _of_batch(text, found, form, max_bytes)


def _of_sequence(text: str, form: Form, max_bytes: int) -> Draft:
    facts = check_sequence(text, max_bytes=max_bytes, at="text")
    if not isinstance(facts, SequenceFacts):
        raise Rejected(facts)
    columns, hints = _columns(facts)
    rows = _rows(form, columns, [{"runs": str(RUNS_FIRST)}])
    return Draft(text, "sequence", {"sequence": text}, columns, rows, hints=hints)


def _of_batch(text: str, found: dict[str, Any], form: Form, max_bytes: int) -> Draft:
    jobs = found.get("jobs", [])
    given = {name: value for name, value in found.items() if name != "jobs"}
    sequence = found.get("sequence")
    facts = None if sequence is None else check_sequence(sequence, max_bytes=max_bytes)
    if isinstance(facts, SequenceFacts) and _are_rows(jobs):
        columns, hints = _columns(facts)
        if len(jobs) * (1 + len(columns)) <= CELLS_MOST:
            rows = _rows(form, columns, (_row(job, columns) for job in jobs))
            return Draft(text, "batch", given, columns, rows, hints=hints)
    return Draft(text, "batch", given, jobs=tuple(jobs) if isinstance(jobs, list) else (jobs,))


def _are_rows(jobs: Any) -> bool:
    return (
        isinstance(jobs, list)
        and 0 < len(jobs) <= EDITED_MOST
        and all(isinstance(job, dict) and job.keys() <= _OF_A_ROW for job in jobs)
        and all(isinstance(job.get("variables") or {}, dict) for job in jobs)
    )


def _columns(facts: SequenceFacts) -> tuple[tuple[str, ...], dict[str, str]]:
    hints = {
        name: variable.type if variable.size == 1 else f"{variable.size} × {variable.type}"
        for name, variable in facts.variables.items()
    }
    if facts.mappable:
        hints[QUBITS] = 'traps, as {"q0": 1}'
    return tuple(hints), hints


def _rows(
    form: Form, columns: Sequence[str], first: Iterable[dict[str, str]]
) -> tuple[dict[str, str], ...]:
    """As they were filled in, one at least; `first` where the form has none yet. What was left
    empty, or emptied, is no job. Raises Rejected."""
    if "runs" not in form.fields:
        return tuple(first)
    cells = {"runs": form.all("runs")} | {name: form.all(f"v.{name}") for name in columns}
    jobs = len(cells["runs"])
    if jobs > EDITED_MOST:
        message = f"at most {EDITED_MOST} can be filled in here, not {jobs}; submit a batch file"
        raise Rejected([Flaw("jobs", message)])
    rows = (
        {name: given[i].strip() if i < len(given) else "" for name, given in cells.items()}
        for i in range(jobs)
    )
    return tuple(row for row in rows if any(row.values())) or ({},)


def _row(job: dict[str, Any], columns: Sequence[str]) -> dict[str, str]:
    variables = job.get("variables") or {}
    cells = {name: _cell(variables[name]) for name in columns if name in variables}
    return {"runs": str(job.get("runs", "")), **cells}


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _job(index: int, row: Mapping[str, str]) -> dict[str, Any]:
    job: dict[str, Any] = {}
    if runs := row.get("runs"):
        job["runs"] = _number(runs, f"jobs[{index}].runs")
    variables = {
        name: _value(text, f"jobs[{index}].variables.{name}")
        for name, text in row.items()
        if name != "runs" and text
    }
    return job | ({"variables": variables} if variables else {})


def _value(text: str, at: str) -> Any:
    if text.startswith("{"):
        try:
            return from_json(text, allow_inf_nan=False)
        except ValueError:
            raise Rejected([Flaw(at, "is not JSON")]) from None
    numbers = [_number(part, at) for part in text.strip("[]").split(",")]
    return numbers[0] if len(numbers) == 1 else numbers


def _number(text: str, at: str) -> float:
    for kind in (int, float):
        try:
            number = kind(text.strip())
        except ValueError:
            continue
        if abs(number) < math.inf:
            return number
    raise Rejected([Flaw(at, f"must be a number, got {text[:40]!r}")])
