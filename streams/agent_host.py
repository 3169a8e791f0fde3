"""The host of an agent: hands each record to a handler and acknowledges it when all it caused is confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import faust
from faust import Stream
from faust.types import EventT, StreamT
from structlog.stdlib import get_logger

from schemas.record import Record
from streams.faust_consumer import InOrderConsumer, Ticket
from streams.outbox import NotPublished, Outbox
from streams.routes import Routes

log = get_logger()

CANCEL_SECONDS = 0.5
"""How long handlers may take to end after they were cancelled."""

Handler: TypeAlias = Callable[[Record], Awaitable[None]]
"""Handles a record. Returns once the broker has confirmed all it wrote. Raises `NotPublished` when it has not."""


@dataclass(frozen=True, slots=True)
class AgentHost:
    """Runs handlers of a Faust app's agents as tasks, many at a time, and watches over their acknowledgement.

    `failed` ends the role: it is set when the broker would not take what a handler wrote, so that the record stays
    unfinished and is handled again after the restart.
    """

    app: faust.App
    routes: Routes
    outbox: Outbox
    failed: asyncio.Future[None]
    tasks: set[asyncio.Task[None]]

    def add_agent(self, name: str, topics: Sequence[str], handle: Handler, parallel: int) -> None:
        """Register an agent that reads `topics` and has at most `parallel` records in hand."""
        slots = asyncio.Semaphore(parallel)
        channel = self.app.topic(*topics, key_serializer="raw", value_serializer="raw")

        async def agent(stream: StreamT[Any]) -> None:
            async for event in cast("Stream[Any]", stream).noack().events():
                await slots.acquire()
                await cast("InOrderConsumer", self.app.consumer).certain()
                self._begin(event, handle, slots)

        self.app.agent(channel, name=name)(agent)

    async def cancel(self) -> None:
        """Stop the handlers that are still running. Their records are unfinished and go to the next owner.

        Those that do not let themselves be cancelled are left behind after `CANCEL_SECONDS`.
        """
        running = list(self.tasks)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=CANCEL_SECONDS)

    def _begin(self, event: EventT[bytes], handle: Handler, slots: asyncio.Semaphore) -> None:
        ticket = cast("InOrderConsumer", self.app.consumer).begin(event.message)
        if ticket is None:
            slots.release()  # begun before, or the partition was taken away since and its new owner has the record
            return
        task = asyncio.create_task(self._handle(_record_of(event), ticket, handle), name=f"{event.message.topic}")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        task.add_done_callback(lambda _: slots.release())

    async def _handle(self, record: Record, ticket: Ticket, handle: Handler) -> None:
        consumer = cast("InOrderConsumer", self.app.consumer)
        try:
            await self._handle_or_bury(record, handle)
        except NotPublished as error:
            consumer.abandon()
            if not self.failed.done():
                self.failed.set_exception(error)
            return
        consumer.finish(ticket)

    async def _handle_or_bury(self, record: Record, handle: Handler) -> None:
        try:
            await handle(record)
        except NotPublished:
            raise
        except Exception as error:
            log.exception("a handler raised: the record goes to dead-letters", topic=record.topic, offset=record.offset)
            await self.outbox.publish(self.routes.dead_letter(record, f"handler raised {error!r}"[:2000]))


def _record_of(event: EventT[bytes]) -> Record:
    message = event.message
    headers = message.headers or ()
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=round((message.timestamp or 0.0) * 1000),
        key=message.key,
        value=message.value,
        headers=tuple(headers.items() if isinstance(headers, Mapping) else headers),
    )
