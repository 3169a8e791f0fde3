"""Hearing of cancelled runs: every process hears of all of them, best effort, from when it started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka.errors import KafkaError
from structlog.stdlib import get_logger

from schemas.events import CANCELLATIONS
from schemas.run import RunCancelled
from streams.kafka.clients import new_reader, partitions_of, started

log = get_logger()

AGAIN_SECONDS = 1.0
"""Pause before the topic is read again after an error."""


class Cancellations:
    """Reads `cancellations` without a group and tells `heard` of every run in it."""

    def __init__(self, options: Mapping[str, Any], topic: str, heard: Callable[[str], None]) -> None:
        """Name the topic, and who wants to know a cancelled run's correlation id."""
        self._options = options
        self._topic = topic
        self._heard = heard
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; whatever is cancelled from now on is heard of."""
        self._task = asyncio.create_task(self._listen_forever(), name="cancellations")
        await self._listening.wait()

    async def stop(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen_forever(self) -> None:
        while True:
            try:
                await self._listen()
            except (KafkaError, OSError) as error:
                # A cancelled run has its response already: what is missed here only costs work that nobody waits for.
                log.warning("cancellations are not heard for a moment", error=repr(error))
                self._listening.set()
                await asyncio.sleep(AGAIN_SECONDS)

    async def _listen(self) -> None:
        async with started(new_reader(self._options), self._options["bootstrap_servers"]) as reader:
            sources = await partitions_of(reader, self._topic)
            reader.assign(sources)
            await reader.seek_to_end(*sources)
            for source in sources:
                await reader.position(source)
            self._listening.set()
            async for record in reader:
                event = CANCELLATIONS.decode(record.value)
                if isinstance(event, RunCancelled):
                    self._heard(event.correlation_id)
