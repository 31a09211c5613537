"""What a client sends, as what the engine takes."""

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from pydantic import ValidationError

from orchestrator.api.flaws import flaws_in
from orchestrator.errors import Flaw, Rejected
from orchestrator.services.core import Core
from orchestrator.store import catalog
from orchestrator.store.listings_reading import Reader, reading
from schemas.batch import BatchIn
from schemas.job import JobFilter, JobIn
from schemas.pasqal import ChosenJobs, CreateBatch, CreateJob, RebatchJobs

# What `with_noise` stands for: the noise that Pulser's emulator has always taken by default.
NOISY: Final = json.dumps(
    {
        "observables": [
            {
                "observable": "bitstrings",
                "evaluation_times": None,
                "tag_suffix": None,
                "num_shots": None,
                "one_state": None,
            }
        ],
        "callbacks": [],
        "default_evaluation_times": [1.0],
        "initial_state": None,
        "with_modulation": False,
        "interaction_matrix": None,
        "prefer_device_noise_model": False,
        "noise_model": {
            "noise_types": ["SPAM", "amplitude", "doppler"],
            "runs": 15,
            "samples_per_run": 5,
            "state_prep_error": 0.005,
            "p_false_pos": 0.01,
            "p_false_neg": 0.05,
            "temperature": 50.0,
            "laser_waist": 175.0,
            "amp_sigma": 0.05,
            "relaxation_rate": 0.0,
            "dephasing_rate": 0.0,
            "hyperfine_dephasing_rate": 0.0,
            "depolarizing_rate": 0.0,
            "eff_noise": [],
        },
    }
)


def batch_of(core: Core, given: CreateBatch) -> BatchIn:
    """Raises Rejected where it cannot be one, with the client's own names of the fields."""
    with reading(core.engine) as connection:
        device_type, device = _target(connection, given)
    try:
        return BatchIn(
            device_type=device_type,
            device=device,
            sequence=given.sequence_builder,
            jobs=jobs_of(given.jobs),
            open=_is_open(given),
            tags=given.tags or [],
            webhook=given.webhook,
            payload=_configured(given),
        )
    except ValidationError as error:
        raise Rejected(flaws_in(error.errors(include_url=False, include_input=False))) from None


def jobs_of(given: Sequence[CreateJob]) -> list[JobIn]:
    both = [
        Flaw(f"jobs[{index}].variables", "must not be given beside a sequence of the job's own")
        for index, job in enumerate(given)
        if job.sequence is not None and job.variables
    ]
    if both:
        raise Rejected(both)
    return [
        JobIn(runs=job.runs, variables=job.variables or None, sequence=job.sequence)
        for job in given
    ]


def options_of(given: CreateBatch) -> dict[str, Any] | None:
    return None if given.configuration is None else {"configuration": given.configuration}


def chosen(filters: ChosenJobs) -> JobFilter:
    return JobFilter(
        ids=filters.id,
        statuses=filters.status if isinstance(filters, RebatchJobs) else None,
        created_after=filters.start_date,
        created_before=filters.end_date,
        min_runs=filters.min_runs,
        max_runs=filters.max_runs,
    )


def _is_open(given: CreateBatch) -> bool:
    if given.open is not None and given.complete is not None and given.open is given.complete:
        raise Rejected([Flaw("complete", "is the opposite of open: give one of them")])
    return given.open if given.open is not None else given.complete is False


def _configured(given: CreateBatch) -> dict[str, Any] | None:
    if given.backend_configuration is not None:
        return {"backend_configuration": given.backend_configuration}
    noisy = (given.configuration or {}).get("with_noise") is True
    return {"backend_configuration": NOISY} if noisy else None


def _target(connection: Reader, given: CreateBatch) -> tuple[str, str | None]:
    """A device type; with a device where the client named a single one."""
    wanted = given.device_type or given.emulator
    if wanted is None:
        return _written_for(connection, given), None
    device_type = catalog.type_of_device(connection, wanted)
    return (wanted, None) if device_type is None else (device_type, wanted)


def _written_for(connection: Reader, given: CreateBatch) -> str:
    sequences = [given.sequence_builder, *(job.sequence for job in given.jobs)]
    name = _device_name(next((each for each in sequences if each is not None), None))
    found = None if name is None else catalog.type_for_spec_name(connection, name)
    if found is None:
        known = ", ".join(catalog.type_names(connection)) or "none"
        written = f"no device here is the {name!r} of the sequence" if name else "is missing"
        raise Rejected([Flaw("device_type", f"{written}; name one of {known}")])
    return found


def _device_name(sequence: Any) -> str | None:
    try:
        body = json.loads(sequence) if isinstance(sequence, str) else sequence
    except (ValueError, RecursionError):
        return None
    device = body.get("device") if isinstance(body, dict) else None
    name = device.get("name") if isinstance(device, dict) else device
    return name if isinstance(name, str) else None


BATCH_FIELDS: Final = {
    "sequence": "sequence_builder",
    "payload.backend_configuration": "backend_configuration",
}
WORKLOAD_FIELDS: Final = {
    "sequence": "config.sequence",
    "payload.backend_configuration": "config.backend_configuration",
    "jobs[0]": "config",
    "device_type": "backend",
}


@contextmanager
def in_words(names: Mapping[str, str]) -> Generator[None]:
    """What is refused inside is told by the client's names of the fields."""
    try:
        yield
    except Rejected as error:
        raise Rejected([_renamed(flaw, names) for flaw in error.flaws]) from None


def _renamed(flaw: Flaw, names: Mapping[str, str]) -> Flaw:
    for ours, theirs in names.items():
        if flaw.field == ours or flaw.field.startswith((f"{ours}.", f"{ours}[")):
            return Flaw(theirs + flaw.field[len(ours) :], flaw.message)
    return flaw
