"""Device types: what a user may ask for."""

from dataclasses import dataclass

from sqlalchemy import text

from orchestrator.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class DeviceType:
    name: str
    executor: str
    max_runs: int | None


def device_type(tx: Transaction, name: str) -> DeviceType | None:
    row = tx.connection.execute(
        text("SELECT name, executor, max_runs FROM device_type WHERE name = :name"), {"name": name}
    ).one_or_none()
    return None if row is None else DeviceType(*row)


def type_names(tx: Transaction) -> list[str]:
    return [
        row.name for row in tx.connection.execute(text("SELECT name FROM device_type ORDER BY 1"))
    ]


def has_device(tx: Transaction, name: str, device_type: str) -> bool:
    found: bool = tx.connection.execute(
        text(
            "SELECT EXISTS (SELECT 1 FROM device WHERE name = :name AND type = :type"
            " AND service <> 'retired')"
        ),
        {"name": name, "type": device_type},
    ).scalar_one()
    return found
