"""The one writer of a partition of the runs table: everything it writes, it writes in transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from structlog.stdlib import get_logger

from streams.kafka.clients import new_producer
from streams.outbox import send
from streams.routes import Routes
from streams.runs.table import Batch, encode_rows

log = get_logger()

WRITE_SECONDS = 25.0
"""How long a transaction may take. The broker aborts it a little later (`transaction_timeout_ms`)."""

STOP_TIMEOUT_SECONDS = 5.0


class Writer:
    """Owns the transactional producer of one partition."""

    def __init__(self, producer: AIOKafkaProducer, partition: int, routes: Routes, group: str) -> None:
        """Take a started producer. `group` is the one whose offsets the transactions move."""
        self._producer = producer
        self._partition = partition
        self._routes = routes
        self._group = group

    @classmethod
    async def fence(cls, options: Mapping[str, Any], partition: int, routes: Routes, group: str) -> Writer:
        """Become the writer: whoever was it before can write nothing any more, and what it left open is aborted."""
        producer = new_producer(options, transactional_id=routes.transactional_id(partition))
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return cls(producer, partition, routes, group)

    async def write(self, batch: Batch) -> None:
        """Commit a batch and the offsets it stands for, all or nothing.

        After any error the outcome is unknown: this writer must be thrown away and the table loaded again. Retrying
        with it could tear the transaction in two.
        """
        async with asyncio.timeout(WRITE_SECONDS):
            await self._write(batch)

    async def _write(self, batch: Batch) -> None:
        await self._producer.begin_transaction()
        records = [*encode_rows(batch.rows, self._routes.runs_changelog, self._partition), *batch.records]
        confirmations = [await send(self._producer, record) for record in records]
        offsets = {TopicPartition(topic, self._partition): offset for topic, offset in batch.offsets.items()}
        await self._producer.send_offsets_to_transaction(offsets, self._group)
        await asyncio.gather(*confirmations)
        await self._producer.commit_transaction()

    async def catch_up(self, loaded: int) -> None:
        """Commit how far the changelog was loaded: what the group had committed before can be read from now on.

        A coordinator that has just come back was seen to answer, for some 100 ms, that the group has committed nothing;
        the inputs would then be folded from their beginning. docs/decisions/0005 has the evidence, and what is a guess.
        """
        async with asyncio.timeout(WRITE_SECONDS):
            await self._producer.begin_transaction()
            offsets = {TopicPartition(self._routes.runs_changelog, self._partition): loaded}
            await self._producer.send_offsets_to_transaction(offsets, self._group)
            await self._producer.commit_transaction()

    async def close(self) -> None:
        """Stop the producer. An open transaction is aborted by whoever fences this writer."""
        try:
            async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
                await self._producer.stop()
        except (TimeoutError, KafkaError) as error:
            log.warning("a writer did not stop cleanly", partition=self._partition, error=repr(error))
