"""The outbox: writes records and knows when the broker has them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.errors import OrchestratorError
from streams.routes import Outgoing


class NotPublished(OrchestratorError):
    """A record for {topic} was not confirmed by the broker: {reason}"""  # noqa: D400 - the reason ends it


class Outbox:
    """Writes through one shared producer."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        """Take a started producer; whoever made it stops it."""
        self._producer = producer

    async def publish(self, *records: Outgoing) -> None:
        """Write the records and return once the broker has all of them. Raises `NotPublished`."""
        await _confirm(await self._send(records))

    def start(self, record: Outgoing) -> asyncio.Task[bool]:
        """Begin to write a record now. The task's result is False when the broker did not confirm it."""
        return asyncio.create_task(self._confirmed(record))

    async def _confirmed(self, record: Outgoing) -> bool:
        try:
            await self.publish(record)
        except NotPublished:
            return False
        return True

    async def _send(self, records: Iterable[Outgoing]) -> list[tuple[str, asyncio.Future[object]]]:
        try:
            return [(record.topic, await send(self._producer, record)) for record in records]
        except KafkaError as error:
            raise NotPublished(topic=next(iter(records)).topic, reason=repr(error)) from error


async def send(producer: AIOKafkaProducer, record: Outgoing) -> asyncio.Future[object]:
    """Hand a record to the producer; the returned future ends when the broker has it."""
    confirmation: asyncio.Future[object] = await producer.send(
        record.topic, record.value, key=record.key, partition=record.partition, headers=list(record.headers)
    )
    return confirmation


async def _confirm(confirmations: list[tuple[str, asyncio.Future[object]]]) -> None:
    for topic, confirmation in confirmations:
        try:
            await confirmation
        except KafkaError as error:
            raise NotPublished(topic=topic, reason=repr(error)) from error
