"""A day in a laboratory, through the real doors and on real devices: every page has something to
show, and nothing that it shows was made up."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from holdfast import Batch, Client
from pulser import Pulse, Sequence
from pulser.register.special_layouts import TriangularLatticeLayout
from pulser.waveforms import BlackmanWaveform, ConstantWaveform

from orchestrator.demo.loop import ROUNDS, minimise
from orchestrator.demo.play import OpenBatch, scan
from orchestrator.demo.problem import build_sequence
from schemas.words import Role
from tests.portal.people import User
from tests.sequences import FRESNEL
from tests.submit.dev import Dev
from tests.waiting import until

DEVICES: Final = ("emu-a:EMU_FREE", "fresnel-1:FRESNEL:pulser:shot_s=0.05", "chem-a:XTB:xtb")
QUIET_S: Final = 110.0
"""How long the open batch waits for its user: as long as the looking takes."""
WITHIN_S: Final = 60.0
HEXAGON: Final = (21, 25, 26, 30, 34, 35, 39)
GOLDEN: Final = 0.6180339887
BOND: Final = (0.9, 1.5)
"""Angstrom: where the length of the nitrogen molecule is looked for."""
Place = tuple[float, float, float]
STEPS: Final = 12


@dataclass(frozen=True)
class Scene:
    """Batches by what became of them, as they were when all was in place; two of their jobs."""

    counted: Batch
    converged: Batch
    failed: Batch
    canceled: Batch
    running: Batch
    idle: Batch
    waiting: list[Batch]
    counted_job: str
    failed_job: str


def played(dev: Dev, people: Mapping[str, User]) -> Scene:
    with ExitStack() as stack:
        owner, operator, member = (
            stack.enter_context(Client(dev.base_url, people[role].api_key))
            for role in (Role.OWNER, Role.OPERATOR, Role.MEMBER)
        )
        ring = build_sequence()
        counted = member.create_batch(
            "EMU_FREE", scan(), sequence=ring, name="Ring of six, scan", tags=["mis", "ring-6"]
        )
        converged = relaxed(operator)
        equip(owner)
        failed = wrong(member)
        running = quenched(owner, "Hexagon quench", runs=200, jobs=40)
        idle = learning(member, ring)
        waiting = list(queued(owner, member, ring))
        canceled = waiting.pop(1).cancel()
        for batch in (counted, converged, failed):
            batch.wait(timeout=WITHIN_S)
        until(lambda: running.refresh().jobs_done, WITHIN_S)
        return Scene(
            counted=counted,
            converged=converged,
            failed=failed,
            canceled=canceled,
            running=running,
            idle=idle,
            waiting=waiting,
            counted_job=counted.jobs()[0].id,
            failed_job=failed.jobs("ERROR")[0].id,
        )


def relaxed(client: Client) -> Batch:
    """The bond of a molecule, by golden section: each job's energy says where to look next."""
    batch = client.create_batch(
        "XTB", open=True, name="N₂ bond length, GFN2-xTB", tags=["n2", "benchmark-set"]
    )
    energies: dict[float, float] = {}

    def energy(length: float) -> float:
        if length not in energies:
            (job,) = batch.add_jobs([{"payload": nitrogen(length)}], wait=True)
            energies[length] = float(job.result()["energy"])
        return energies[length]

    low, high = BOND
    while len(energies) < STEPS:
        span = GOLDEN * (high - low)
        left, right = round(high - span, 6), round(low + span, 6)
        low, high = (low, right) if energy(left) < energy(right) else (left, high)
    return batch.close()


def nitrogen(length: float) -> dict[str, Any]:
    return energy_of(["N", "N"], [(0, 0, 0), (0, 0, length)], f"{length:.4f} Å")


def energy_of(symbols: list[str], positions: list[Place], name: str) -> dict[str, Any]:
    """The payload of a job."""
    return {
        "job_type": "single_point_energy",
        "level_of_theory": "GFN2-xTB",
        "atoms": {"symbols": symbols, "positions": positions},
        "name": name,
    }


def equip(client: Client) -> None:
    """Keys for what works here without a person."""
    client.create_key("notebook", ["submit"])
    client.create_key("chem-box", kind="runner")
    client.revoke_key(client.create_key("old laptop", ["read"]).id)


def wrong(client: Client) -> Batch:
    """Two molecules of salt, taken apart until no density is found any more."""
    near: list[Place] = [(0, 0, 0), (0, 0, 2.4)]
    apart: dict[str, list[Place]] = {
        "neighbours": [*near, (4, 0, 0), (4, 0, 2.4)],
        "10 Å apart": [*near, (10, 0, 0), (10, 0, 2.4)],
        "torn": [(0, 0, 0), (0, 0, 25), (30, 0, 0), (30, 0, 40)],
    }
    jobs = [{"payload": energy_of(["Na", "Cl"] * 2, at, name)} for name, at in apart.items()]
    return client.create_batch("XTB", jobs, name="Salt, taken apart", tags=["nacl"])


def learning(client: Client, ring: str) -> Batch:
    """An optimisation over an open batch, as its user thinks about what comes next."""
    batch = client.create_batch(
        "EMU_FREE",
        sequence=ring,
        open=True,
        name="Ring of six, variational",
        tags=["mis", "vqa"],
        idle_timeout_s=QUIET_S,
    )
    minimise(OpenBatch(batch), on_round=lambda _: None, seed=5)
    assert batch.refresh().jobs_total >= ROUNDS
    return batch


def queued(owner: Client, member: Client, ring: str) -> Iterator[Batch]:
    """What waits for the processor, and for the emulator that the open batch holds."""
    for number, name in enumerate(NAMES):
        client = (owner, member)[number % 2]
        yield quenched(client, name, runs=100 + 50 * (number % 4), jobs=3 + 4 * (number % 5))
    yield member.create_batch(
        "EMU_FREE", scan(), sequence=ring, name="Ring of six, finer scan", tags=["mis", "ring-6"]
    )
    yield owner.create_batch(
        "EMU_FREE", scan()[:4], sequence=ring, name="Noise comparison", tags=["noise"], priority=5
    )


NAMES: Final = (
    "Drift check, morning",
    "Hexagon quench, long",
    "Blockade radius",
    "Kagome, first look",
    "Readout calibration",
    "Drift check, noon",
    "Hexagon, adiabatic",
    "Blockade radius, repeat",
    "Thermal ensemble",
    "Correlations at 6 µm",
    "Detuning sweep",
    "Drift check, evening",
)


def quenched(client: Client, name: str, *, runs: int, jobs: int) -> Batch:
    """Seven atoms under a pulse of growing strength, on the processor."""
    points = [
        {"runs": runs, "variables": {"area": round(0.8 + 2 * n / jobs, 3)}} for n in range(jobs)
    ]
    tags = [name.split(",")[0].lower().replace(" ", "-")]
    return client.create_batch("FRESNEL", points, sequence=hexagon(), name=name, tags=tags)


def hexagon() -> str:
    layout = TriangularLatticeLayout(n_traps=61, spacing=6)
    register = layout.define_register(*HEXAGON, qubit_ids=[f"q{n}" for n in range(7)])
    sequence: Any = Sequence(register, FRESNEL)
    sequence.declare_channel("rydberg", "rydberg_global")
    area = sequence.declare_variable("area")
    pulse = Pulse(BlackmanWaveform(600, area), ConstantWaveform(600, 0.0), 0)
    sequence.add(pulse, "rydberg")
    sequence.measure("ground-rydberg")
    return str(sequence.to_abstract_repr())
