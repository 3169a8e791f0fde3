"""The outbox: writes records and knows when the broker has them."""

from __future__ import annotations

import asyncio

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
        """Write the records and return once the broker has all of them.

        Raises `NotPublished`, which names the first that it has not, after the fate of all is known: one that cannot
        be sent does not leave those before it to themselves, and those behind it are not sent.
        """
        sent: list[tuple[Outgoing, asyncio.Future[object]]] = []
        failures: list[tuple[Outgoing, BaseException]] = []
        for record in records:
            try:
                sent.append((record, await send(self._producer, record)))
            except Exception as error:  # noqa: BLE001 - raised below, after the others
                failures.append((record, error))
                break
        results = await asyncio.gather(*(confirmation for _, confirmation in sent), return_exceptions=True)
        unconfirmed = [
            (record, result)
            for (record, _), result in zip(sent, results, strict=True)
            if isinstance(result, BaseException)
        ]
        for record, failure in unconfirmed + failures:
            if isinstance(failure, KafkaError):
                raise NotPublished(topic=record.topic, reason=repr(failure)) from failure
            raise failure

    def start(self, record: Outgoing) -> asyncio.Task[bool]:
        """Begin to write a record now. The task's result is False when the broker did not confirm it."""
        return asyncio.create_task(self._confirmed(record))

    async def has(self, topic: str, partition: int) -> bool:
        """Tell whether the broker has that partition. Raises `NotPublished` when it does not say."""
        try:
            if partition in await self._producer.partitions_for(topic):
                return True
            await self._producer.client.force_metadata_update()  # it may be a new one
            return partition in await self._producer.partitions_for(topic)
        except KafkaError as error:
            raise NotPublished(topic=topic, reason=repr(error)) from error

    async def _confirmed(self, record: Outgoing) -> bool:
        try:
            await self.publish(record)
        except NotPublished:
            return False
        return True


async def send(producer: AIOKafkaProducer, record: Outgoing) -> asyncio.Future[object]:
    """Hand a record to the producer; the returned future ends when the broker has it."""
    confirmation: asyncio.Future[object] = await producer.send(
        record.topic, record.value, key=record.key, partition=record.partition, headers=list(record.headers)
    )
    return confirmation
