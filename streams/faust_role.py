"""A role that runs on Faust: its life from connecting to the last acknowledged record."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

import faust
from structlog.stdlib import get_logger

from streams.agent_host import AgentHost
from streams.cancellations import Cancellations
from streams.faust_app import new_faust_app
from streams.kafka.clients import client_options, new_producer
from streams.outbox import Outbox
from streams.routes import Routes
from streams.settings import Settings

log = get_logger()

STOP_SECONDS = 1.5
"""How much longer than the drain time Faust may take to stop. With what follows it is less than
`streams.role.STOP_MARGIN_SECONDS`."""

DISCONNECT_SECONDS = 0.4
"""How long the producer may take to disconnect. Nothing waits in it: whoever writes has waited for the confirmation."""


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

    @abstractmethod
    def cancel(self, correlation_id: str) -> None:
        """Stop what is done for a run that was cancelled."""

    async def start(self) -> None:
        """Connect, join the group and begin to work."""
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._producer = new_producer(self._options)
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise
        self._cancellations = Cancellations(self._options, self.routes.cancellations, self.cancel)
        app = new_faust_app(self._group, self._options, self.settings.drain_seconds)
        self._host = AgentHost(app, self.routes, Outbox(self._producer), self._failed, set())
        self.add_agents(self._host)
        app.on_partitions_assigned.connect(self._on_assigned)  # type: ignore[arg-type]  # a protocol of Faust's own
        app.finalize()
        self._app = app
        await self._cancellations.start()
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
        try:
            await self._cancellations.stop()
            await self._stop_app(self._app)
        finally:
            try:
                await self._host.cancel()
            finally:
                await self._disconnect()

    async def _stop_app(self, app: faust.App) -> None:
        # A task of its own, and no `wait_for`: Faust swallows a cancellation while it stops one of its parts and goes
        # on to the next, so that whoever cancels it and waits may wait for ever.
        stopping = asyncio.create_task(app.stop(), name="faust stop")
        await asyncio.wait({stopping}, timeout=self.settings.drain_seconds + STOP_SECONDS)
        if not stopping.done():
            log.warning("Faust did not stop in time: the group learns of it by the end of the session")
        elif (error := stopping.exception()) is not None:
            log.warning("Faust did not stop in order", error=repr(error))

    async def _disconnect(self) -> None:
        try:
            async with asyncio.timeout(DISCONNECT_SECONDS):
                await self._producer.stop()
        except TimeoutError:
            log.warning("the broker did not answer while disconnecting")

    async def _on_assigned(self, app: object, *values: Any, **_: Any) -> None:  # noqa: ANN401 - a signal's signature
        del app
        owned = [f"{tp.topic}-{tp.partition}" for assigned in values for tp in assigned]
        log.info("partitions assigned", group=self._group, partitions=sorted(owned))
        self.ready.set()
