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
from orchestrator.proof.exclusive import findings_in
from orchestrator.proof.slices import Gathered, NotAlone, TooManyEntries, gather
from orchestrator.services.core import Core
from orchestrator.store import certificates
from orchestrator.store.certificates import BatchFacts, Ran
from orchestrator.store.listings_reading import reading
from orchestrator.store.witnesses import Witnesses
from schemas.certificate import Certificate, CertificateKey, Ends, SignedCertificate
from schemas.witness import BrokenLog
from schemas.words import BatchStatus

MOST_ENTRIES: Final = 20_000
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
        _refuse_if_too_large(facts.jobs_total)
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
        held=sorted(gathered.slices, key=lambda held: (held.device, held.journal, held.fence)),
        unwitnessed=_unwitnessed(facts, ran, gathered),
    )
    if findings := findings_in(certificate):
        raise NotCertifiable("; ".join(findings[:3]))
    return sign(certificate, private)


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
    except TooManyEntries:
        _refuse_if_too_large(MOST_ENTRIES)
    return gathered


def _refuse_if_too_large(jobs: int) -> None:
    if 2 * jobs > MOST_ENTRIES:
        raise NotCertifiable(
            f"a certificate holds at most {MOST_ENTRIES} entries, and this batch has more;"
            " `holdfast verify` checks it"
        )


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
