"""Device types: what a user may ask for."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.domain.credit import RATES
from orchestrator.physics.builtin import MAX_QUBITS, defaults
from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class DeviceType:
    """`spec`: Pulser's abstract representation of the device, as JSON text; `public`: shown to
    whoever asks, without a login; `rate`: micro-credits for one of its `cores` and one second."""

    name: str
    executor: str
    max_runs: int | None = None
    spec: str | None = None
    public: bool = False
    max_qubits: int | None = None
    rate: int = 0
    cores: int = 1

    @property
    def runs_sequences(self) -> bool:
        """Whether its jobs are Pulser sequences: by its executor, or because the operator gave it
        a spec. A scripted device does what it is told, with or without one."""
        return self.executor in MAX_QUBITS or (
            self.spec is not None and self.executor != "scripted"
        )


_COLUMNS: Final = "name, executor, max_runs, spec, public, max_qubits, rate, cores"
# Not another project's own machine nor one that was removed, and not that of jobs that never run.
_TYPE: Final = text(
    f"""
    SELECT {_COLUMNS} FROM device_type WHERE name = :name AND executor <> 'none'
        AND (project_id IS NULL OR (project_id = CAST(:project AS uuid) AND NOT EXISTS (
            SELECT 1 FROM controller WHERE device_type = :name AND removed_at IS NOT NULL
        )))
    """
)
_FOR_ALL: Final = "project_id IS NULL AND executor <> 'none'"
_TYPE_OF_BATCH: Final = text(
    f"""
    SELECT {_COLUMNS} FROM device_type
    WHERE name = (SELECT device_type FROM batch WHERE id = :batch AND project_id = :project)
    """
)


def device_type(tx: Transaction, name: str, project: UUID | None = None) -> DeviceType | None:
    """With a project, also one that is its own."""
    row = tx.connection.execute(_TYPE, {"name": name, "project": project}).one_or_none()
    return None if row is None else DeviceType(*row)


def type_of_batch(tx: Transaction, project: UUID, batch: UUID) -> DeviceType | None:
    """None also when the batch is another project's."""
    given = {"batch": batch, "project": project}
    row = tx.connection.execute(_TYPE_OF_BATCH, given).one_or_none()
    return None if row is None else DeviceType(*row)


_MEET: Final = text(
    f"""
    INSERT INTO device_type ({_COLUMNS})
    VALUES (:name, :executor, :max_runs, :spec, :public, :max_qubits, :rate, :cores)
    ON CONFLICT (name) DO NOTHING
    """
)
# Apart from the insert, for that would lock the row: every hello comes by here.
_FILL_IN: Final = text(
    """
    UPDATE device_type SET spec = :spec, public = :public,
        max_runs = COALESCE(max_runs, :max_runs), max_qubits = COALESCE(max_qubits, :max_qubits)
    WHERE name = :name AND spec IS NULL
    """
)
_DEFINE: Final = text(
    f"""
    INSERT INTO device_type ({_COLUMNS})
    VALUES (:name, :executor, :max_runs, :spec, :public, :max_qubits, :rate, :cores)
    ON CONFLICT (name) DO UPDATE SET executor = EXCLUDED.executor, spec = EXCLUDED.spec,
        public = EXCLUDED.public, max_runs = EXCLUDED.max_runs, max_qubits = EXCLUDED.max_qubits,
        rate = EXCLUDED.rate, cores = EXCLUDED.cores
    """
)


def meet(tx: Transaction, name: str, executor: str) -> None:
    """The type exists from now on, with its built-in spec if there is one for its name; what an
    operator or an earlier worker said of it stays."""
    known = defaults(name, executor)
    kind = DeviceType(
        name,
        executor,
        known.max_runs,
        known.spec,
        known.public,
        known.max_qubits,
        rate=RATES.get(executor, 0),
    )
    tx.connection.execute(_MEET, _values(kind))
    if kind.spec is not None:
        tx.connection.execute(_FILL_IN, _values(kind))


def define(tx: Transaction, kind: DeviceType) -> None:
    """The operator's word: it replaces whatever was known of the type."""
    tx.connection.execute(_DEFINE, _values(kind))


def _values(kind: DeviceType) -> dict[str, object]:
    return {name: getattr(kind, name) for name in DeviceType.__dataclass_fields__}


_SPECS: Final = text(
    """
    SELECT name, spec FROM device_type
    WHERE spec IS NOT NULL AND (public OR NOT :public_only) AND EXISTS (
        SELECT 1 FROM device WHERE type = device_type.name AND service <> 'retired'
    )
    ORDER BY name
    """
)
_TYPE_FOR: Final = text(
    """
    SELECT name FROM device_type
    WHERE name = :name OR CAST(spec AS json) ->> 'name' = :name
    ORDER BY name = :name DESC, EXISTS (
        SELECT 1 FROM device WHERE type = device_type.name AND service <> 'retired'
    ) DESC, name
    LIMIT 1
    """
)


def specs(connection: Reader, *, public_only: bool) -> dict[str, str]:
    """The specs of those types that have a device, by type."""
    rows = connection.execute(_SPECS, {"public_only": public_only})
    return {row.name: row.spec for row in rows}


def type_for_spec_name(connection: Reader, name: str) -> str | None:
    """The type that a sequence means which was written for a device of this name: the type called
    so, else one whose spec is; of several, the first in the alphabet that has a device."""
    found: str | None = connection.execute(_TYPE_FOR, {"name": name}).scalar_one_or_none()
    return found


def type_names(connection: Reader) -> list[str]:
    """Those that are everybody's: no project's own."""
    names = text(f"SELECT name FROM device_type WHERE {_FOR_ALL} ORDER BY 1")
    return list(connection.execute(names).scalars())


_OF_DEVICE: Final = text(
    """
    SELECT type FROM device WHERE name = :name AND service <> 'retired'
        AND NOT EXISTS (SELECT 1 FROM device_type WHERE device_type.name = :name)
    """
)
_AVAILABLE: Final = text(
    """
    SELECT type, bool_or(online AND service = 'active') AS ready
    FROM device JOIN device_type ON device_type.name = device.type
    WHERE public AND service <> 'retired' GROUP BY type ORDER BY type
    """
)


def type_of_device(connection: Reader, name: str) -> str | None:
    """Of the single device called so; None where a type has that name, or nothing has."""
    found: str | None = connection.execute(_OF_DEVICE, {"name": name}).scalar_one_or_none()
    return found


def available(connection: Reader) -> dict[str, bool]:
    """Whether any device of a public type takes work now."""
    return {row.type: row.ready for row in connection.execute(_AVAILABLE)}


def has_device(tx: Transaction, name: str, device_type: str) -> bool:
    found: bool = tx.connection.execute(
        text(
            "SELECT EXISTS (SELECT 1 FROM device WHERE name = :name AND type = :type"
            " AND service <> 'retired')"
        ),
        {"name": name, "type": device_type},
    ).scalar_one()
    return found
