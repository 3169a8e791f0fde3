"""A load: so many requests, so many of them in flight, each timed from its send to its committed response."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.codec import encode
from schemas.request import RequestSubmitted
from streams.client import new_correlation_id
from streams.kafka.clients import new_producer, new_reader
from streams.routes import Routes

PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Measured:
    """What a load showed. Latencies in milliseconds."""

    requests: int
    in_flight: int
    seconds: float
    latencies: list[float] = field(default_factory=list)
    doubled: int = 0

    def summary(self) -> dict[str, float]:
        """Reduce to figures: requests per second and latency percentiles."""
        percentiles = quantiles(self.latencies, n=100) if len(self.latencies) > 1 else [self.latencies[0]] * 99
        return {
            "requests": self.requests,
            "in_flight": self.in_flight,
            "requests_per_second": round(self.requests / self.seconds, 1),
            "p50_ms": round(median(self.latencies), 2),
            "p99_ms": round(percentiles[98], 2),
            "missing": self.requests - len(self.latencies),
            "doubled": self.doubled,
        }


class Load:
    """Sends requests as an upstream service would and reads committed responses."""

    def __init__(self, options: Mapping[str, Any], routes: Routes, partitions: int) -> None:
        """Prepare clients for one installation."""
        self._routes = routes
        self._producer: AIOKafkaProducer = new_producer(options)
        self._reader: AIOKafkaConsumer = new_reader(options)
        self._sources = [TopicPartition(routes.responses, number) for number in range(partitions)]
        self._sent: dict[bytes, float] = {}
        self._answered: dict[bytes, float] = {}
        self._doubled = 0
        self._slots = asyncio.Semaphore(1)

    async def start(self) -> None:
        """Connect, and read responses from now on."""
        await self._producer.start()
        await self._reader.start()
        self._reader.assign(self._sources)
        await self._reader.seek_to_end(*self._sources)
        for source in self._sources:
            await self._reader.position(source)

    async def stop(self) -> None:
        """Disconnect."""
        await self._producer.stop()
        await self._reader.stop()

    async def run(self, prompt: str, requests: int, in_flight: int) -> Measured:
        """Send `requests`, never more than `in_flight` unanswered. Raises TimeoutError when an answer does not come."""
        self._slots = asyncio.Semaphore(in_flight)
        self._sent, self._answered, self._doubled = {}, {}, 0
        reading = asyncio.create_task(self._read(requests), name="responses")
        start = time.perf_counter()
        try:
            for _ in range(requests):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._slots.acquire()
                await self._send(prompt)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await reading
        finally:
            reading.cancel()
        seconds = time.perf_counter() - start
        latencies = [(self._answered[key] - sent) * 1000 for key, sent in self._sent.items() if key in self._answered]
        return Measured(requests, in_flight, seconds, latencies, self._doubled)

    async def _send(self, prompt: str) -> None:
        key = new_correlation_id().encode()
        value = encode(RequestSubmitted(prompt=prompt, mode="results"))
        self._sent[key] = time.perf_counter()
        await self._producer.send(self._routes.requests, value, key=key)

    async def _read(self, requests: int) -> None:
        while len(self._answered) < requests:
            for records in (await self._reader.getmany(timeout_ms=1000)).values():
                for record in records:
                    self._note(record.key)

    def _note(self, key: bytes) -> None:
        if key not in self._sent:
            return
        if key in self._answered:
            self._doubled += 1
            return
        self._answered[key] = time.perf_counter()
        self._slots.release()
