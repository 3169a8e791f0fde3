"""A tape: everything that is committed in some topics, as a foreign consumer sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

T = TypeVar("T")
BytesRecord: TypeAlias = ConsumerRecord[bytes | None, bytes | None]

MAX_FETCH_BYTES = 4 * 1024 * 1024


class Tape:
    """Records what a plain `read_committed` consumer reads, from the beginning of each topic on, in reading order."""

    def __init__(self, bootstrap_servers: str) -> None:
        """Name the broker."""
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=MAX_FETCH_BYTES,
        )
        self._sources: list[TopicPartition] = []
        self._records: dict[str, list[BytesRecord]] = {}
        self._more = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def start(self, partitions: Mapping[str, int]) -> None:
        """Begin to read these topics, of which each has that many partitions."""
        self._records = {topic: [] for topic in partitions}
        self._sources = [
            TopicPartition(topic, number) for topic, count in partitions.items() for number in range(count)
        ]
        await self._consumer.start()
        self._consumer.assign(self._sources)
        await self._consumer.seek_to_beginning(*self._sources)
        self._reading = asyncio.create_task(self._read(), name="tape")

    async def stop(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._consumer.stop()

    def of(self, topic: str) -> list[BytesRecord]:
        """Return what was read of a topic so far."""
        return list(self._records[topic])

    async def until(self, look: Callable[[], T | None], seconds: float = 20.0) -> T:
        """Return what `look` finds, as soon as it finds anything; it is asked again whenever more was read."""
        try:
            async with asyncio.timeout(seconds):
                while not (found := look()):
                    self._more.clear()
                    await self._next()
        except TimeoutError:
            seen = {topic: len(records) for topic, records in self._records.items() if records}
            message = f"not seen within {seconds} s; records read: {seen}"
            raise AssertionError(message) from None
        return found

    async def wind(self) -> None:
        """Read everything that is committed at this moment."""
        ends = await self._consumer.end_offsets(self._sources)
        async with asyncio.timeout(20):
            while [source for source in self._sources if await self._consumer.position(source) < ends[source]]:
                self._more.clear()
                await self._next()

    async def _next(self) -> None:
        """Wait for the next records; raise what stopped the reading."""
        more = asyncio.create_task(self._more.wait())
        reading = [self._reading] if self._reading is not None else []
        await asyncio.wait({more, *reading}, return_when=asyncio.FIRST_COMPLETED)
        more.cancel()
        for task in reading:
            if task.done():
                task.result()

    async def _read(self) -> None:
        while True:
            # A short wait: positions also move past transaction markers, of which no records tell.
            for source, records in (await self._consumer.getmany(timeout_ms=100)).items():
                self._records[source.topic] += records
            self._more.set()
