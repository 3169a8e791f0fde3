"""The thread in which Faust's consumer talks to Kafka: with a client of our making, and no obstacle to an exit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Transport
from faust.types import TP
from mode.threads import ServiceThread, WorkerThread

from streams.kafka.clients import new_group_member

MAX_POLL_RECORDS = 100
"""How many records a poll returns. Small beside an agent's queue, so that no poll can fill one."""

LEAVE_SECONDS = 1.0
"""How long the client may take to leave its group and disconnect."""

END_SECONDS = 0.5
"""How long the thread may take to end after that. The event loop stands still meanwhile."""


class _DaemonThread(WorkerThread):
    """A thread that ends with its process.

    mode's own is no daemon and is joined without bound: with a broker that does not answer, or after a stop that was
    cancelled, it would keep the process alive for ever.
    """

    def __init__(self, service: ServiceThread, **kwargs: Any) -> None:  # noqa: ANN401 - handed through to mode
        super().__init__(service, **kwargs)
        self.daemon = True

    def stop(self) -> None:
        self.is_stopped.wait(END_SECONDS)


class _WithOptions(Protocol):
    client_options: Mapping[str, Any]


class ReadCommittedThread(AIOKafkaConsumerThread):
    """Faust's consumer thread around a consumer of our making: read committed, short session."""

    Worker = _DaemonThread
    shutdown_timeout = LEAVE_SECONDS

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        del transport
        self._assignor = RoundRobinPartitionAssignor
        options = cast("_WithOptions", self.consumer).client_options
        return new_group_member(options, self.app.conf.id, self._assignor, max_poll_records=MAX_POLL_RECORDS)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every partition to where its group is, and to its beginning where the group has not committed.

        aiokafka leaves the latter where they are: records that were read and dropped during a rebalance would be lost.
        """
        committed: Mapping[TP, int] = await self.call_thread(self._seek_to_committed)
        return committed

    async def _seek_to_committed(self) -> Mapping[TopicPartition, int | None]:
        consumer = self._ensure_consumer()
        committed: Mapping[TopicPartition, int | None] = await consumer.seek_to_committed()
        fresh = [source for source, offset in committed.items() if not offset]
        if fresh:
            await consumer.seek_to_beginning(*fresh)
        return committed
