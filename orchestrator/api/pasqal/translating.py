"""What a client sends, as what the engine takes."""

import json
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from pydantic import ValidationError

from orchestrator.api.flaws import flaws_in
from orchestrator.domain.sequence import written_for
from orchestrator.errors import Flaw, Rejected
from orchestrator.services.admission import check_finite
from orchestrator.services.core import Core
from orchestrator.store import catalog
from orchestrator.store.listings_reading import Reader, reading
from schemas.batch import BatchIn
from schemas.job import JobIn
from schemas.pasqal import CreateBatch, CreateJob

PROCESSOR: Final = "FRESNEL"
OPTION_BYTES: Final = 64 * 1024
DEFAULT_SHOTS: Final = 1000
OLD_CLIENT: Final = re.compile(r"PasqalCloudSDK/(\d{1,4})\.(\d{1,4})")

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


def batch_of(core: Core, given: CreateBatch, user_agent: str = "") -> BatchIn:
    """Raises Rejected where it cannot be one, with the client's own names of the fields."""
    with reading(core.engine) as connection:
        device_type, device = _target(connection, given)
    config = given.backend_configuration
    by_config = config is not None and said_by_config(user_agent)
    try:
        return BatchIn(
            device_type=device_type,
            device=device,
            sequence=given.sequence_builder,
            jobs=jobs_of(given.jobs, shots_of(config), ignore_runs=by_config),
            open=_is_open(given),
            tags=given.tags or [],
            webhook=given.webhook,
            payload=_configured(given),
        )
    except ValidationError as error:
        raise Rejected(flaws_in(error.errors(include_url=False, include_input=False))) from None


def jobs_of(given: Sequence[CreateJob], shots: int, *, ignore_runs: bool = False) -> list[JobIn]:
    """A job that does not say how often it runs takes the `shots` of its batch, so that each has
    a number: older clients cannot read a job without. `ignore_runs`: see `said_by_config`."""
    both = [
        Flaw(f"jobs[{index}].variables", "must not be given beside a sequence of the job's own")
        for index, job in enumerate(given)
        if job.sequence is not None and job.variables
    ]
    if both:
        raise Rejected(both)
    return [
        JobIn(
            runs=shots if ignore_runs or job.runs is None else job.runs,
            variables=job.variables or None,
            sequence=job.sequence,
        )
        for job in given
    ]


def shots_of(config: Any) -> int:
    """What an emulator's configuration says of the number of shots, or else Pulser does."""
    try:
        given = json.loads(config) if isinstance(config, str) else config
        counted = [each for each in given["observables"] if each["observable"] == "bitstrings"]
        found = [each.get("num_shots") for each in counted] + [given.get("default_num_shots")]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return DEFAULT_SHOTS
    whole = [each for each in found if isinstance(each, int) and 0 < each < 2**31]
    return whole[0] if whole else DEFAULT_SHOTS


def said_by_config(user_agent: str) -> bool:
    """Clients before 0.23 send `runs: 1` beside every configuration, and mean nothing by it."""
    version = OLD_CLIENT.match(user_agent)
    return version is not None and (int(version[1]), int(version[2])) < (0, 23)


def as_examined(core: Core, given: CreateBatch, body: BatchIn) -> BatchIn:
    """With `strict_validation` an emulator's batch must be one that the processor would take."""
    if (given.configuration or {}).get("strict_validation") is not True:
        return body
    with reading(core.engine) as connection:
        if PROCESSOR not in catalog.type_names(connection):
            raise Rejected(
                [Flaw("configuration.strict_validation", f"wants a {PROCESSOR}, and none is here")]
            )
    return body.model_copy(update={"device_type": PROCESSOR, "device": None})


def options_of(given: CreateBatch) -> dict[str, Any] | None:
    if given.configuration is None:
        return None
    return {"configuration": small(given.configuration, "configuration")}


def small(value: dict[str, Any], field: str) -> dict[str, Any]:
    """What is shown in every listing must not be large, and must be JSON."""
    if flaws := check_finite(value, field):
        raise Rejected(flaws)
    if len(json.dumps(value)) > OPTION_BYTES:
        raise Rejected([Flaw(field, f"must be at most {OPTION_BYTES} bytes of JSON")])
    return value


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
    name = written_for(next((each for each in sequences if each is not None), None))
    found = None if name is None else catalog.type_for_spec_name(connection, name)
    if found is None:
        known = ", ".join(catalog.type_names(connection)) or "none"
        written = f"no device here is the {name!r} of the sequence" if name else "is missing"
        raise Rejected([Flaw("device_type", f"{written}; name one of {known}")])
    return found


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
