"""Jobs by page number, with an exact total, over any filter and a million rows.

No index counts a million rows in milliseconds, so batches do. A batch knows when its jobs came,
how they ended and which `runs` they have; only those that a filter cuts through are looked into.
What each batch holds also says in which few of them a page lies, however deep it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.listings_numbered import Found, Order, every
from orchestrator.store.listings_reading import Reader
from schemas.words import JobStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class JobsWanted:
    """None: any. An empty sequence: none."""

    ids: Sequence[UUID] | None = None
    project_ids: Sequence[UUID] | None = None
    user_ids: Sequence[UUID] | None = None
    batch_ids: Sequence[UUID] | None = None
    statuses: Sequence[JobStatus] | None = None
    min_runs: int | None = None
    max_runs: int | None = None
    errors: bool | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundJob:
    """`sequence`: its own, if it has one."""

    id: UUID
    batch_id: UUID
    project_id: UUID
    ordinal: int
    status: str
    runs: int | None
    variables: dict[str, Any] | None
    sequence: Any
    parent_id: UUID | None
    reason: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


_COLUMNS: Final = """
    j.id, j.batch_id, j.project_id, j.ordinal, j.status, j.runs,
    j.payload->'variables' AS variables, j.payload->'sequence' AS sequence, j.parent_id,
    j.reason, j.created_at, j.started_at, j.ended_at
"""
_OF_BATCH: Final = {
    "user_ids": "b.user_id = ANY(:user_ids)",
    "batch_ids": "b.id = ANY(:batch_ids)",
    "start_date": "b.jobs_last_at >= :start_date",
    "end_date": "b.jobs_first_at <= :end_date",
}
_OF_JOB: Final = {
    "ids": "j.id = ANY(:ids)",
    "statuses": "j.status = ANY(:statuses)",
    "min_runs": "j.runs >= :min_runs",
    "max_runs": "j.runs <= :max_runs",
    "start_date": "j.created_at >= :start_date",
    "end_date": "j.created_at <= :end_date",
}
_OF_RUNS: Final = {name: _OF_JOB[name] for name in ("min_runs", "max_runs")}
_UPTO: Final = "COALESCE(b.runs_upto[width_bucket({}, b.runs)], 0)"
_WITH_RUNS: Final = "COALESCE(b.runs_upto[cardinality(b.runs_upto)], 0)"
_COUNTERS: Final = {
    JobStatus.DONE: "b.jobs_done",
    JobStatus.ERROR: "b.jobs_failed",
    JobStatus.CANCELED: "b.jobs_canceled",
    JobStatus.PENDING: "b.jobs_left - COALESCE(running.n, 0)",
    JobStatus.RUNNING: "COALESCE(running.n, 0)",
}

# `kept`: its jobs that have a status that is wanted. `fit`: those whose `runs` are. Where both
# cut through a batch, the few that ended badly tell the rest, once nothing in it is left to run.
_BY_BATCH: Final = """
    running AS (
        SELECT j.batch_id, CAST(count(*) AS int) AS n
        FROM "window" w JOIN job j ON j.window_id = w.id WHERE j.status = 'RUNNING'
        GROUP BY j.batch_id
    ), known AS MATERIALIZED (
        SELECT b.id, b.jobs_left, {fit} AS fit, {kept} AS kept, b.jobs_total AS total,
            {first_at} AS first_at, {last_at} AS last_at, {whole} AS whole
        FROM batch b LEFT JOIN running ON running.batch_id = b.id
        WHERE b.project_id = ANY(:projects) AND b.jobs_total > 0 {batch_clauses}
    ), summed AS MATERIALIZED (
        SELECT id, first_at, last_at, fit, jobs_left = 0 AND whole AS over, CASE
            WHEN fit <= 0 OR kept = 0 THEN 0
            WHEN NOT whole THEN NULL
            WHEN fit = total THEN kept
            WHEN kept = total THEN fit
        END AS n FROM known
    ), inside AS (
        SELECT j.batch_id, CAST(count(*) AS int) AS n FROM job j
        WHERE j.batch_id = ANY(ARRAY(SELECT id FROM summed WHERE n IS NULL AND NOT over))
            {job_clauses}
        GROUP BY j.batch_id
    ), spoiled AS (
        SELECT j.batch_id, CAST(count(*) AS int) AS n FROM job j
        WHERE j.project_id = ANY(:projects) AND j.status IN ('ERROR', 'CANCELED')
            AND j.status = ANY(CAST(ARRAY{told} AS text[])) {runs_clauses}
            AND (SELECT true FROM summed WHERE n IS NULL AND over LIMIT 1)
        GROUP BY j.batch_id
    ), held AS MATERIALIZED (
        SELECT id, first_at, last_at, n FROM summed WHERE n > 0
        UNION ALL
        SELECT id, first_at, last_at, inside.n FROM summed JOIN inside ON inside.batch_id = id
        UNION ALL
        SELECT id, first_at, last_at, {rest} AS n
        FROM summed LEFT JOIN spoiled ON spoiled.batch_id = id
        WHERE summed.n IS NULL AND over AND {rest} > 0
    )
"""
_BY_ID: Final = """
    held AS MATERIALIZED (
        SELECT b.id, min(j.created_at) AS first_at, max(j.created_at) AS last_at,
            CAST(count(*) AS int) AS n
        FROM job j JOIN batch b ON b.id = j.batch_id
        WHERE j.project_id = ANY(:projects) {batch_clauses} {job_clauses}
        GROUP BY b.id
    )
"""

# Newest first, jobs of `skip` .. `stop` are asked for. As many as lie in batches that began at or
# after a moment are at least as new as it; no more are than lie in batches that ended there.
_PAGE: Final = """
    WITH {held}, counted AS (
        SELECT CAST(COALESCE(sum(n), 0) AS int) AS total FROM held
    ), asked AS MATERIALIZED (
        SELECT total, {skip} AS skip, {stop} AS stop FROM counted
    ), ranked AS MATERIALIZED (
        SELECT id, first_at, last_at, n, sum(n) OVER (ORDER BY first_at DESC) AS at_least,
            sum(n) OVER (ORDER BY last_at DESC) AS at_most
        FROM held
    ), span AS MATERIALIZED (
        SELECT COALESCE(max(first_at) FILTER (WHERE at_least >= stop), '-infinity') AS oldest,
            COALESCE(min(last_at) FILTER (WHERE at_most <= skip), 'infinity') AS newest
        FROM ranked, asked
    ), before AS (
        SELECT COALESCE(sum(n), 0) AS n FROM ranked, span WHERE first_at >= newest
    ), page AS MATERIALIZED (
        SELECT j.id FROM job j
        WHERE j.batch_id = ANY(ARRAY(
            SELECT ranked.id FROM ranked, span WHERE first_at < newest AND last_at >= oldest
        )) AND j.created_at >= (SELECT oldest FROM span) {{job_clauses}}
        ORDER BY j.created_at DESC, j.batch_id DESC, j.ordinal DESC
        OFFSET (SELECT skip - before.n FROM asked, before)
        LIMIT (SELECT stop - skip FROM asked)
    )
    SELECT counted.total, {columns}
    FROM counted LEFT JOIN (page JOIN job j ON j.id = page.id) ON true
    ORDER BY j.created_at {order}, j.batch_id {order}, j.ordinal {order}
"""
_SKIP: Final[dict[Order, tuple[str, str]]] = {
    "DESC": ("LEAST(:offset, total)", "LEAST(:offset + :limit, total)"),
    "ASC": ("GREATEST(total - :offset - :limit, 0)", "GREATEST(total - :offset, 0)"),
}


def find_jobs(
    connection: Reader,
    projects: Sequence[UUID],
    wanted: JobsWanted,
    *,
    offset: int,
    limit: int,
    order: Order = "DESC",
) -> Found[FoundJob]:
    """Of these projects only, whatever is wanted."""
    given = _given(projects, wanted)
    clauses = {
        "batch_clauses": every(_OF_BATCH, given),
        "job_clauses": every(_OF_JOB, given),
        "runs_clauses": every(_OF_RUNS, given),
    }
    held = _BY_ID if "ids" in given else _BY_BATCH
    skip, stop = _SKIP[order]
    statement = _PAGE.format(held=held, skip=skip, stop=stop, order=order, columns=_COLUMNS)
    statement = statement.format(**clauses, **_sums(given), **_hull(given))
    rows = connection.execute(text(statement), {**given, "offset": offset, "limit": limit}).all()
    found = [FoundJob(*row[1:]) for row in rows if row.id is not None]
    return Found(found, rows[0].total)


def _given(projects: Sequence[UUID], wanted: JobsWanted) -> dict[str, Any]:
    given = {name: value for name, value in asdict(wanted).items() if value is not None}
    among = given.pop("project_ids", projects)
    given["projects"] = [project for project in projects if project in among]
    errors = given.pop("errors", None)
    if errors is not None or "statuses" in given:
        statuses = set(given.get("statuses", JobStatus))
        if errors is not None:
            statuses = {s for s in statuses if (s is JobStatus.ERROR) == errors}
        given["statuses"] = sorted(statuses)
    return given


def _sums(given: Mapping[str, Any]) -> dict[str, str]:
    """SQL: how many jobs of a batch have the `runs`, and the status, that are wanted."""
    statuses = given.get("statuses", list(JobStatus))
    any_status = len(statuses) == len(JobStatus)
    kept = "b.jobs_total" if any_status else " + ".join(_COUNTERS[s] for s in statuses) or "0"
    fit = "b.jobs_total"
    if "min_runs" in given or "max_runs" in given:
        most = _UPTO.format("CAST(:max_runs AS int)") if "max_runs" in given else _WITH_RUNS
        less = _UPTO.format("CAST(:min_runs AS int) - 1") if "min_runs" in given else "0"
        fit = f"{most} - {less}"
    done = JobStatus.DONE in statuses
    rest = "fit - COALESCE(spoiled.n, 0)" if done else "COALESCE(spoiled.n, 0)"
    told = [s.value for s in (JobStatus.ERROR, JobStatus.CANCELED) if (s in statuses) != done]
    return {"kept": kept, "fit": fit, "rest": rest, "told": repr(told)}


def _hull(given: Mapping[str, Any]) -> dict[str, str]:
    """SQL: between which moments a batch's jobs may lie, and whether that is all of them."""
    first, last, whole = "b.jobs_first_at", "b.jobs_last_at", []
    if "start_date" in given:
        whole.append(f"{first} >= :start_date")
        first = f"GREATEST({first}, :start_date)"
    if "end_date" in given:
        whole.append(f"{last} <= :end_date")
        last = f"LEAST({last}, :end_date)"
    return {"first_at": first, "last_at": last, "whole": " AND ".join(whole) or "true"}


_THESE: Final = text(
    f"SELECT {_COLUMNS} FROM job j WHERE j.id = ANY(:ids) AND j.project_id = ANY(:projects)"
)
_ALL: Final = text(f"SELECT {_COLUMNS} FROM job j WHERE j.batch_id = :batch ORDER BY j.ordinal")


def these_jobs(connection: Reader, projects: Sequence[UUID], ids: Sequence[UUID]) -> list[FoundJob]:
    """In the order of `ids`; another project's are not there."""
    rows = connection.execute(_THESE, {"ids": list(ids), "projects": list(projects)})
    found = {row.id: FoundJob(*row) for row in rows}
    return [found[each] for each in ids if each in found]


_STATUS: Final = text("SELECT status FROM job WHERE id = :id AND project_id = ANY(:projects)")


def status_of_job(connection: Reader, projects: Sequence[UUID], job: UUID) -> str | None:
    """None also when it is another project's."""
    given = {"id": job, "projects": list(projects)}
    status: str | None = connection.execute(_STATUS, given).scalar_one_or_none()
    return status


def jobs_of(connection: Reader, batch: UUID) -> list[FoundJob]:
    """All of them, in the order of submission."""
    return [FoundJob(*row) for row in connection.execute(_ALL, {"batch": batch})]
