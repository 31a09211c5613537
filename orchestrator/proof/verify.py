"""`holdfast verify`: every invariant over a time range, on a live system, without touching it.

The database is looked at as it is at one moment, and the witnesses after that moment: so what the
database knows has been witnessed, but for what is still on its way to the object store.
"""

import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from orchestrator.domain.transitions import BATCH_MOVES, JOB_MOVES, BatchMove, JobMove
from orchestrator.proof.journals import INVARIANT, Faults, Walk
from orchestrator.proof.report import Line, Report, Tell, Verdict, Violation
from orchestrator.store import audit_objects
from orchestrator.store.audit import FIRST, Facts, Offences, Question, Range, Snapshot, snapshot
from orchestrator.store.audit_evidence import Evidence, gathering
from orchestrator.store.audit_history import HISTORY
from orchestrator.store.audit_live import LIVE
from orchestrator.store.audit_money import MONEY
from orchestrator.store.audit_witnessed import WITNESSED
from orchestrator.store.objects import StoreAway, need_folder
from orchestrator.store.witnesses import Segment, Witnesses
from schemas.objects import S3
from schemas.witness import read_lines

LAG_S: Final = 30.0
"""How old something must be before both the database and the witness have to know it."""
SKEW_S: Final = 5.0
"""How far the clocks of nodes may be apart, where only the time of day can be compared."""
PATIENCE_S: Final = 30.0
"""How long something may wait that the sweep sees to within a second or two."""
LONGEST_S: Final = 60.0
"""How long a transaction of ours may take: 30 s for a statement, 30 s between two."""
WRONG_CLOCK_S: Final = 86_400.0
"""How long before the range an entry may say that it was, and is still held against it."""
OBJECTS: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Seconds. What is younger than these is in motion, and proves nothing."""

    lag_s: float = LAG_S
    skew_s: float = SKEW_S
    patience_s: float = PATIENCE_S


def verify(
    database_url: str,
    store_url: str,
    *,
    s3: S3,
    since: datetime | None = None,
    until: datetime | None = None,
    patience: Patience | None = None,
    read_objects: bool = False,
    progress: Tell | None = None,
) -> Report:
    """Raises `Unavailable` when the database or the object store cannot be read.

    Batches that were alive at some time from `since` to `until` are checked, with all that they
    ever did. `read_objects`: results that lie in the object store are read, all of them; else of
    the newest only their sizes are asked for.
    """
    began = time.monotonic()
    given = {"since": since, "until": until}
    span = Range(**{name: moment for name, moment in given.items() if moment is not None})
    check = _Check(span, patience or Patience(), progress or _silent)
    with snapshot(database_url, span) as database, gathering() as evidence:
        witnesses = Witnesses(store_url, s3, there=_is_there(database, store_url))
        facts = check.look(database, witnesses, evidence)
        check.cross(evidence, facts)
        most = None if read_objects else OBJECTS
        refs = database.refs(most)
        bad = audit_objects.faults(store_url, s3, refs, read=read_objects)
        check.judge(_OBJECTS, bad, len(refs))
    counts = {**facts.counts, **check.counts}
    return Report(
        at=facts.at,
        took_s=time.monotonic() - began,
        counts=counts,
        since=since,
        until=until,
        lines=sorted(check.lines, key=lambda line: line.invariant),
        violations=sorted(check.violations, key=lambda found: found.invariant),
        warnings=sorted(check.warnings, key=lambda found: found.invariant),
    )


def _is_there(database: Snapshot, store_url: str) -> bool:
    """Raises `StoreAway` for a folder that is not there although somebody must have made it: users'
    own controllers keep no logs, and make none."""
    try:
        need_folder(store_url)
    except StoreAway as away:
        missing = isinstance(away.__cause__, FileNotFoundError)
        if not missing or database.has_workers() or database.refs(1):
            raise
        return False
    return True


_LOGS: Final = Question(invariant=0, what="there are logs", of="results", sql="", grave=False)
_NO_LOGS: Final = Offences(
    1, [{"why": "there are results and not one log: is HOLDFAST_STORE_URL the workers' own?"}]
)
_NOT_OURS: Final = "no witness: controllers, twins"
_OBJECTS: Final = Question(invariant=5, what="stored results are there", of="objects", sql="")


class _Check:
    """One check under way: what it has found so far."""

    def __init__(self, span: Range, patience: Patience, tell: Tell) -> None:
        self.lines: list[Line] = []
        self.violations: list[Violation] = []
        self.warnings: list[Violation] = []
        self.counts: dict[str, int] = {}
        self._span, self._patience, self._tell = span, patience, tell
        self._done, self._steps = 0, len((*HISTORY, *LIVE, *MONEY, *WITNESSED)) + 1

    def look(self, database: Snapshot, witnesses: Witnesses, evidence: Evidence) -> Facts:
        """Postgres answers while the logs are read: the one works there, the other here."""
        facts = database.facts()
        logs = [
            (device, journal, witnesses.segments(device, journal))
            for device in witnesses.devices()
            for journal in witnesses.journals(device)
        ]
        self._steps += sum(len(segments) for _, _, segments in logs)
        with _beside(partial(self._ask_database, database, facts)) as answers:
            self._read(witnesses, logs, evidence, facts)
        for question, found in answers.result():
            self.judge(question, found, facts.counts[question.of], swept=facts.swept)
        self._step("what the database says of the same")
        evidence.take_over(database)
        evidence.index()
        return facts

    def cross(self, evidence: Evidence, facts: Facts) -> None:
        self.counts |= evidence.counts()
        counts = {**facts.counts, **self.counts}
        unwitnessed = counts["unwitnessed"]
        unproven = counts["results"] > unwitnessed and counts["logs"] == 0
        self.judge(_LOGS, _NO_LOGS if unproven else Offences(0, []), counts["results"])
        if unwitnessed:
            self._line(5, _NOT_OURS, unwitnessed, "results", 0, Verdict.OK)
        given = {
            "skew": self._patience.skew_s,
            "leeway": LONGEST_S,
            "horizon": facts.at.timestamp() - self._patience.lag_s,
            "since": self._span.since.timestamp(),
            "until": self._span.until.timestamp(),
        }
        for question in WITNESSED:
            self._step(question.what)
            found = evidence.ask(question, **given)
            self.judge(question, found, counts[question.of], swept=facts.swept)

    def judge(
        self, question: Question, found: Offences, looked_at: int, *, swept: bool = True
    ) -> None:
        grave = question.grave and (swept or not question.live)
        bad = Verdict.BAD if grave else Verdict.WARN
        self._line(
            question.invariant,
            question.what,
            looked_at,
            question.of,
            found.total,
            bad if found.total else Verdict.OK,
        )
        named = self.violations if grave else self.warnings
        named += [Violation(question.invariant, question.what, row) for row in found.rows]

    def _ask_database(self, database: Snapshot, facts: Facts) -> list[tuple[Question, Offences]]:
        given = {
            **_legal_moves(),
            "at": facts.at,
            "patience": timedelta(seconds=self._patience.patience_s),
            "skew": timedelta(seconds=self._patience.skew_s),
        }
        answers: list[tuple[Question, Offences]] = []
        for question in (*HISTORY, *LIVE, *MONEY):
            self._step(question.what)
            answers.append((question, database.ask(question, **given)))
        return answers

    def _read(
        self,
        witnesses: Witnesses,
        logs: Sequence[tuple[str, str, Sequence[Segment]]],
        evidence: Evidence,
        facts: Facts,
    ) -> None:
        """Of runs that were over before any batch in range was there, only the log is checked."""
        boots: dict[str, int] = {}
        faults, entries = Faults(), 0
        oldest = facts.oldest.timestamp() - WRONG_CLOCK_S if self._span.since > FIRST else 0.0
        for number, (device, journal, segments) in enumerate(logs):
            walk = Walk(number, device, journal, boots, faults)
            runs = walk.runs(read_lines(self._lines(witnesses, segments), journal))
            evidence.add_runs(run for run in runs if (run.ended_at or run.at) >= oldest)
            if walk.log is not None:
                evidence.add_log(walk.log)
            entries += walk.entries
        self.counts["entries"] = entries
        self.violations += faults.rows
        for what, count in faults.counts.items():
            verdict = Verdict.BAD if count else Verdict.OK
            self._line(INVARIANT[what], what, entries, "entries", count, verdict)

    def _lines(self, witnesses: Witnesses, segments: Iterable[Segment]) -> Iterator[bytes]:
        for segment in segments:
            self._step("what the devices witnessed")
            yield from witnesses.lines_of(segment)

    def _line(
        self, invariant: int, what: str, looked_at: int, of: str, found: int, verdict: Verdict
    ) -> None:
        self.lines.append(
            Line(
                invariant=invariant,
                what=what,
                looked_at=looked_at,
                of=of,
                found=found,
                verdict=verdict,
            )
        )

    def _step(self, what: str) -> None:
        self._tell(self._done, self._steps, what)
        self._done += 1


def _legal_moves() -> dict[str, list[str]]:
    legal: dict[str, list[str]] = {}
    for name, moves in (("job", _flat(JOB_MOVES)), ("batch", _flat(BATCH_MOVES))):
        for number, column in enumerate(("kinds", "sources", "targets")):
            legal[f"{name}_{column}"] = [move[number] for move in moves]
    return legal


def _flat(moves: Mapping[Any, BatchMove] | Mapping[Any, JobMove]) -> list[tuple[str, str, str]]:
    return [(str(e), str(s), str(m.target)) for e, m in moves.items() for s in m.sources]


@contextmanager
def _beside(
    work: "partial[list[tuple[Question, Offences]]]",
) -> Generator["Future[list[tuple[Question, Offences]]]"]:
    """Done in a thread while the block runs; over when the block is."""
    with ThreadPoolExecutor(1, thread_name_prefix="verify") as pool:
        yield pool.submit(work)


def _silent(done: int, of: int, what: str) -> None:
    pass
