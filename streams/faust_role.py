"""A role that runs on Faust: its life from connecting to the last acknowledged record."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

import faust
from structlog.stdlib import get_logger

from streams.agent_host import AgentHost
from streams.faust_app import new_faust_app
from streams.kafka.clients import client_options, new_producer
from streams.outbox import Outbox
from streams.routes import Routes
from streams.settings import Settings

log = get_logger()


class FaustRole(ABC):
    """Starts and stops a Faust app with one shared producer. Subclasses add the agents."""

    def __init__(self, settings: Settings, group: str) -> None:
        """Prepare; `start` connects."""
        self.ready = asyncio.Event()
        self.settings = settings
        self.routes = Routes(settings.topic_prefix)
        self._group = group
        self._options = client_options(settings)
        self._app: faust.App | None = None

    @abstractmethod
    def add_agents(self, host: AgentHost) -> None:
        """Register the agents of the role."""

    async def start(self) -> None:
        """Connect, join the group and begin to work."""
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._producer = new_producer(self._options)
        await self._producer.start()
        app = new_faust_app(self._group, self._options, self.settings.drain_seconds)
        self._host = AgentHost(app, self.routes, Outbox(self._producer), self._failed, set())
        self.add_agents(self._host)
        app.on_partitions_assigned.connect(self._on_assigned)  # type: ignore[arg-type]  # a protocol of Faust's own
        app.finalize()
        self._app = app
        await app.start()

    async def wait(self) -> None:
        """Wait until the role fails; raises what it failed of."""
        if self._app is None:
            return
        stopped = asyncio.create_task(self._app.wait_until_stopped(), name="faust stopped")
        try:
            await asyncio.wait({self._failed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        if self._failed.done():
            self._failed.result()
        if self._app.crash_reason is not None:
            raise self._app.crash_reason

    async def stop(self) -> None:
        """Finish what is begun, for the drain time at most, commit it, leave the group, disconnect."""
        if self._app is None:
            return
        await self._app.stop()
        await self._host.cancel()
        await self._producer.stop()

    async def _on_assigned(self, app: object, *values: Any, **_: Any) -> None:  # noqa: ANN401 - a signal's signature
        del app
        owned = [f"{tp.topic}-{tp.partition}" for assigned in values for tp in assigned]
        log.info("partitions assigned", group=self._group, partitions=sorted(owned))
        self.ready.set()
