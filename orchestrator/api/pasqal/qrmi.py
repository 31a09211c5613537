"""What QRMI, the Slurm plug-in, asks for besides."""

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from orchestrator.api.pasqal import shown
from orchestrator.api.pasqal.callers import Reads
from orchestrator.api.pasqal.envelope import success
from orchestrator.api.pasqal.jobs import stored_result
from orchestrator.errors import NotFound
from orchestrator.store.listings_pasqal_batches import these_batches
from orchestrator.store.listings_pasqal_jobs import jobs_of
from orchestrator.store.listings_reading import reading

router = APIRouter(tags=["qrmi"])


@router.get("/api/v1/batches/{batch_id}/full_results")
def get_full_results(caller: Reads, batch_id: UUID) -> Response:
    """What every DONE job of the batch gave, by its id."""
    core = caller.core
    with reading(core.engine) as connection:
        if not these_batches(connection, caller.projects, [batch_id]):
            raise NotFound(f"there is no batch {batch_id}")
        done = [job.id for job in jobs_of(connection, batch_id) if job.status == "DONE"]
    counters = {str(job): shown.counter_of(stored_result(core, job)) or {} for job in done}
    return success({job: {"counter": counter} for job, counter in counters.items()})
