"""The programs of PASQAL's page «Batches of jobs», on pasqal-cloud 0.22.0."""

# mypy: ignore-errors

import uuid

import pasqal_cloud
from pasqal_cloud import (
    SDK,
    CancelJobFilters,
    JobFilters,
    JobStatus,
    PaginationParams,
    RebatchFilters,
)
from pasqal_cloud.device import EmuFreeConfig
from sequences import mappable, pair, parametrized, pulsed
from service import READY, tell, with_password, with_token

sdk, by_key = SDK(**with_password()), SDK(**with_token())
sequence = parametrized(pair()).to_abstract_repr()


def run(omega, runs=50):
    return {"runs": runs, "variables": {"omega_max": omega}}


def widths(batch):
    return [sorted({len(bits) for bits in job.result}) for job in batch.ordered_jobs]


def an_open_batch():
    batch = sdk.create_batch(sequence, [run(9.5)], open=True, tags=[str(uuid.uuid4())])
    batch.add_jobs([run(10), run(10.5)], wait=True)
    between = batch.status
    batch.close()
    jobs = [job.status for job in batch.ordered_jobs]
    return {"between": between, "after": batch.status, "jobs": jobs, "open": batch.open}


def different_registers():
    batch = by_key.create_batch(
        mappable().to_abstract_repr(),
        [
            {"runs": 100, "variables": {"qubits": {"q0": 1, "q1": 5, "q2": 7}}},
            {"runs": 100, "variables": {"qubits": {"q0": 2, "q1": 4, "q2": 8, "q3": 26}}},
        ],
        emulator="EMU_FREE",
        wait=True,
    )
    return {"widths": widths(batch), "shots": sum(batch.ordered_jobs[0].result.values())}


def the_old_words():
    batch = sdk.create_batch(sequence, [run(1.0)], complete=False, emulator="EMU_FREE")
    batch.retry(batch.ordered_jobs[0], wait=True)
    batch.declare_complete(wait=True)
    variables = [job.variables for job in batch.ordered_jobs]
    return {"variables": variables, "jobs": len(batch.jobs), "complete": batch.complete}


def own_sequences():
    own = pulsed(pair()).to_abstract_repr()
    batch = sdk.create_batch(
        None,
        [{"runs": 7, "serialized_sequence": own}],
        device_type="EMU_FREE",
        configuration=EmuFreeConfig(with_noise=True),
        wait=True,
    )
    job = batch.ordered_jobs[0]
    return {"shots": sum(job.result.values()), "noisy": batch.configuration.with_noise}


def lists_and_changes():
    batch = sdk.create_batch(sequence, [run(n + 1.0, 5 + n) for n in range(4)], wait=True)
    ids = [job.id for job in batch.ordered_jobs]
    mine = JobFilters(batch_id=batch.id, status=JobStatus.DONE)
    page = sdk.get_jobs(filters=mine, pagination_params=PaginationParams(offset=1, limit=2))
    again = sdk.rebatch(batch.id, RebatchFilters(min_runs=6, max_runs=7))
    holder = sdk.create_batch(sequence, [run(1.5)], open=True)
    waiting = sdk.create_batch(sequence, [run(2.5), run(3.5)], open=True)
    refused = sdk.cancel_jobs(waiting.id, CancelJobFilters(id=waiting.ordered_jobs[0].id))
    canceled = [job.status for job in refused.jobs]
    waiting.cancel()
    holder.close()
    tagged = sdk.set_batch_tags(batch.id, ["new"])
    return {
        "page": [job.id for job in page.results] == ids[2:0:-1],
        "total": page.total,
        "again": [job.runs for job in again.ordered_jobs],
        "canceled": canceled,
        "waiting": waiting.status,
        "tags": tagged.tags,
        "projects": [project.id for project in sdk.get_all_projects()] == [READY["project_id"]],
    }


tell(
    version=pasqal_cloud.__version__,
    an_open_batch=an_open_batch(),
    different_registers=different_registers(),
    the_old_words=the_old_words(),
    own_sequences=own_sequences(),
    lists_and_changes=lists_and_changes(),
)
