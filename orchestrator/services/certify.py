"""Certify a batch: the devices' own logs, beside what Postgres says, show that it was alone.

Everything here only reads. A certificate is complete or is not given: whoever asks too early is
told to ask again.
"""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from orchestrator.errors import CertificateNotReady, NotCertifiable
from orchestrator.proof.certificate import public_key, sign
from orchestrator.proof.exclusive import batch_of, findings_in, veil
from orchestrator.proof.slices import Gathered, NotAlone, TooManyEntries, gather
from orchestrator.services.core import Core
from orchestrator.store import certificates
from orchestrator.store.certificates import BatchFacts, Ran
from orchestrator.store.listings_reading import reading
from orchestrator.store.witnesses import Witnesses
from schemas.certificate import Certificate, CertificateKey, Ends, SignedCertificate, Slice
from schemas.witness import BrokenLog
from schemas.words import BatchStatus

MOST_ENTRIES: Final = 20_000
_TOO_LARGE: Final = (
    f"a certificate holds at most {MOST_ENTRIES} entries, and this batch has more;"
    " `holdfast verify` checks it"
)
_NOT_OURS: Final = (
    "a lane of a user's own controller, whose machine keeps no log that we could trust"
)
LOGS_ARRIVE: Final = timedelta(minutes=1)
"""After it, the log of a run that did not end DONE may stay away: its device's disk is gone."""


def certificate_key(core: Core) -> CertificateKey:
    return public_key(_private(core))


def certify(core: Core, project: UUID, batch: UUID) -> SignedCertificate:
    """Raises `NotFound`, `CertificateNotReady`, `NotCertifiable`."""
    with reading(core.engine) as connection:
        facts = certificates.facts_of(connection, project, batch)
        if facts.ended_at is None:
            raise CertificateNotReady(f"the batch is {facts.status}: it is not over yet")
        if facts.remote:
            raise NotCertifiable(f"{', '.join(facts.remote[:3])}: {_NOT_OURS}")
        if 2 * facts.jobs_total > MOST_ENTRIES:
            raise NotCertifiable(_TOO_LARGE)
        ran = certificates.jobs_that_ran(connection, batch)
    gathered = _gathered(core, batch, facts)
    private = _private(core)
    certificate = Certificate(
        version=1,
        batch=str(batch),
        status=BatchStatus(facts.status),
        jobs=Ends(
            total=facts.jobs_total,
            done=facts.jobs_done,
            failed=facts.jobs_failed,
            canceled=facts.jobs_canceled,
        ),
        issued_at=facts.now.isoformat(),
        key_id=public_key(private).key_id,
        held=_shown(core, project, gathered.slices),
        unwitnessed=_unwitnessed(facts, ran, gathered),
    )
    if findings := findings_in(certificate):
        raise NotCertifiable("; ".join(findings[:3]))
    return sign(certificate, private)


def _shown(core: Core, project: UUID, slices: Sequence[Slice]) -> list[Slice]:
    """In order; of neighbours that are another project's only that they are there."""
    lines = {line for held in slices for line in (held.before, held.after) if line is not None}
    batches = {line: batch for line in lines if (batch := batch_of(line)) is not None}
    with reading(core.engine) as connection:
        ours = certificates.of_project(connection, project, sorted(set(batches.values())))
    veiled = {line: veil(line) for line, batch in batches.items() if batch not in ours}
    shown: list[Slice] = []
    for held in sorted(slices, key=lambda held: (held.device, held.journal, held.fence)):
        ends = {"before": held.before, "after": held.after}
        seen = {end: veiled.get(line, line) if line else None for end, line in ends.items()}
        shown.append(held.model_copy(update=seen))
    return shown


def _private(core: Core) -> bytes:
    with core.transaction() as tx:
        return certificates.private_key(tx, secrets.token_bytes(32))


def _gathered(core: Core, batch: UUID, facts: BatchFacts) -> Gathered:
    witnesses = Witnesses(core.settings.store_url, core.settings.s3)
    gathered = Gathered()
    if facts.admitted_at is None or facts.ended_at is None:
        return gathered
    try:
        for device in facts.devices:
            gather(
                witnesses,
                str(batch),
                device,
                gathered,
                since=facts.admitted_at,
                until=facts.ended_at,
                most=MOST_ENTRIES,
            )
    except BrokenLog as error:
        raise NotCertifiable(f"a witness log was changed: {error}") from error
    except NotAlone as error:
        raise NotCertifiable(str(error)) from error
    except TooManyEntries as error:
        raise NotCertifiable(_TOO_LARGE) from error
    return gathered


def _unwitnessed(facts: BatchFacts, ran: Sequence[Ran], gathered: Gathered) -> list[str]:
    """Jobs whose run no log tells of, though it began. Raises unless waiting is in vain."""
    for job in ran:
        run = job.job, job.run
        if job.sha256 is None:
            continue
        if run not in gathered.done:
            raise CertificateNotReady(f"the log that tells of job {job.job} is not there yet")
        if gathered.done[run] != job.sha256:
            raise NotCertifiable(f"job {job.job} has another result than its device's log says")
    missing = [job.job for job in ran if (job.job, job.run) not in gathered.began]
    assert facts.ended_at is not None
    waited = facts.now - facts.ended_at > LOGS_ARRIVE
    if (missing or gathered.running) and not waited:
        raise CertificateNotReady("not all logs that tell of it are there yet")
    return missing
