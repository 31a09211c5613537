"""What every service is handed: the database, the broker, the settings."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Engine

from orchestrator.broker.celery_app import celery_app
from orchestrator.broker.chains import Chains
from orchestrator.broker.permits import Permits
from orchestrator.broker.permits import connect as connect_broker
from orchestrator.broker.streams import Streams
from orchestrator.config import Settings
from orchestrator.store.transaction import Transaction, transaction
from orchestrator.store.transaction import connect as connect_database


@dataclass(frozen=True, kw_only=True)
class Core:
    engine: Engine
    permits: Permits
    chains: Chains
    streams: Streams
    settings: Settings

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

    def close(self) -> None:
        """Lets go of every connection."""
        self.engine.dispose()
        self.permits.client.close()
        self.chains.app.close()
