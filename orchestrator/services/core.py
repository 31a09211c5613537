"""What every service is handed: the store, the broker, the settings."""

import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from sqlalchemy import Engine

from orchestrator.broker.celery_app import celery_app
from orchestrator.broker.chains import Chains
from orchestrator.broker.permits import Permits
from orchestrator.broker.permits import connect as connect_broker
from orchestrator.broker.rates import Rates
from orchestrator.broker.streams import Streams
from orchestrator.config import Settings
from orchestrator.physics.child import Physics
from orchestrator.services import ports
from orchestrator.services.uses import Uses
from orchestrator.store import batches, devices, jobs, ledger, members, moves, watch, windows
from orchestrator.store.transaction import Transaction, transaction
from orchestrator.store.transaction import connect as connect_database


@dataclass(frozen=True, kw_only=True)
class Core:
    engine: Engine
    permits: Permits
    chains: Chains
    streams: Streams
    settings: Settings
    physics: Physics = field(default_factory=Physics)
    uses: Uses = field(default_factory=Uses)
    batches: ports.Batches = batches
    devices: ports.Devices = devices
    windows: ports.Windows = windows
    jobs: ports.Jobs = jobs
    moves: ports.Moves = moves
    ledger: ports.Ledger = ledger
    watch: ports.Watch = watch

    @classmethod
    def start(cls, settings: Settings) -> Self:
        """Connects to nothing yet: a server that is down is met by the call that needs it."""
        client = connect_broker(settings.broker_url)
        return cls(
            engine=connect_database(settings.database_url, pool_size=settings.pool_size),
            permits=Permits(client, settings.permit_ttl_s),
            chains=Chains(celery_app(settings.broker_url)),
            streams=Streams(client),
            settings=settings,
        )

    def transaction(self) -> AbstractContextManager[Transaction]:
        return transaction(self.engine)

    @cached_property
    def signing_secret(self) -> bytes:
        """What tokens and links are signed with: made once, kept in the database."""
        with self.transaction() as tx:
            return members.signing_secret(tx, secrets.token_bytes(32))

    @cached_property
    def rates(self) -> Rates:
        return Rates(self.permits.client)

    def close(self) -> None:
        """Lets go of every connection, and ends the checker if there is one."""
        self.physics.close()
        self.engine.dispose()
        self.permits.client.close()
        self.chains.app.close()
