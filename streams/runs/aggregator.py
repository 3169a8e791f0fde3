"""The aggregator: reads requests and run events, and hands each record to the partition it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from structlog.stdlib import get_logger

from agents.clock import Clock, system_clock
from schemas.errors import OrchestratorError
from schemas.record import Record
from streams import topology
from streams.kafka.clients import client_options, new_group_member, new_producer, topics_of
from streams.outbox import Outbox
from streams.routes import Routes
from streams.runs.partition import Aggregation, Partition
from streams.settings import Settings

log = get_logger()

POLL_MS = 500
MAX_POLL_RECORDS = 2_000
LOOK_UP_SECONDS = 5.0
"""How often the list of topics is read again."""


class PartitionsNotTogether(OrchestratorError):
    """The aggregator was assigned {assigned}: it must own the same partition numbers of requests and run-events.

    Give both topics the same number of partitions (`orchestrator topics check`).
    """


class Aggregator(ConsumerRebalanceListener):
    """A role: owns partitions of the runs table, and alone writes run state and responses."""

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        """Prepare; `start` connects."""
        self.ready = asyncio.Event()
        self._settings = settings
        self._clock = clock
        self._options = client_options(settings)
        self._routes = Routes(settings.topic_prefix)
        self._group = self._routes.group(topology.AGGREGATOR)
        self._partitions: dict[int, Partition] = {}
        self._failed: asyncio.Future[None] | None = None
        self._poll: asyncio.Task[None] | None = None
        self._announce: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, join the group and begin to work. Raises a Kafka error when the broker cannot be reached."""
        self._failed = asyncio.get_running_loop().create_future()
        self._producer = new_producer(self._options)
        # The range assignor gives the same partition numbers of both topics to the same member; no other does.
        self._consumer = new_group_member(
            self._options, self._group, RangePartitionAssignor, max_poll_records=MAX_POLL_RECORDS
        )
        try:
            await self._producer.start()
            self._shared = await self._share()
            self._consumer.subscribe([self._routes.requests, self._routes.run_events], listener=self)
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            await self._producer.stop()
            raise
        self._poll = asyncio.create_task(self._poll_forever(), name="aggregator poll")
        self._lookup = asyncio.create_task(self._look_up_topics(), name="aggregator topics")
        self._lookup.add_done_callback(self._report)

    async def _share(self) -> Aggregation:
        return Aggregation(
            options=self._options,
            routes=self._routes,
            group=self._group,
            consumer=self._consumer,
            outbox=Outbox(self._producer),
            clock=self._clock,
            default_timeout_ms=self._settings.timeout_ms,
            topics=await topics_of(self._producer),
            report=self._report,
        )

    async def wait(self) -> None:
        """Wait until the role fails; raises what it failed of."""
        if self._failed is None or self._poll is None:
            return
        done, _ = await asyncio.wait({self._failed, self._poll}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Finish the transactions under way, leave the group, disconnect."""
        if self._poll is None:
            return
        self._poll.cancel()
        self._lookup.cancel()
        await asyncio.gather(self._poll, self._lookup, return_exceptions=True)
        await self._close_all()
        await self._consumer.stop()
        await self._producer.stop()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Let go of everything: the group is about to share anew."""
        if revoked:
            log.info("partitions revoked", partitions=sorted({source.partition for source in revoked}))
        await self._close_all()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Open what is ours now, in the background: the group must not wait for a changelog to be read."""
        numbers = {topic: sorted(p.partition for p in assigned if p.topic == topic) for topic in self._inputs}
        if len({tuple(owned) for owned in numbers.values()}) != 1:
            self._fail(PartitionsNotTogether(assigned=numbers))
            return
        for number in numbers[self._routes.requests]:
            self._partitions[number] = Partition(number, self._shared)
            self._partitions[number].start()
        log.info("partitions assigned", partitions=sorted(self._partitions))
        self._announce = asyncio.create_task(self._announce_when_open(), name="aggregator ready")

    @property
    def _inputs(self) -> tuple[str, str]:
        return self._routes.requests, self._routes.run_events

    async def _announce_when_open(self) -> None:
        for partition in list(self._partitions.values()):
            await partition.opened.wait()
        self.ready.set()

    def _report(self, ended: asyncio.Task[None]) -> None:
        error = None if ended.cancelled() else ended.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        # aiokafka only logs what a rebalance listener raises: the role has to end by itself.
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _close_all(self) -> None:
        if self._announce is not None:
            self._announce.cancel()
        owned, self._partitions = self._partitions, {}
        await asyncio.gather(*(partition.close() for partition in owned.values()))

    async def _look_up_topics(self) -> None:
        """Keep the list of the broker's topics, for `Table` to know which tools can be called."""
        while True:
            await asyncio.sleep(LOOK_UP_SECONDS)
            try:
                known = await topics_of(self._producer)
            except KafkaError as error:
                log.warning("the broker's topics could not be listed", error=repr(error))
                continue
            self._shared.topics.intersection_update(known)
            self._shared.topics.update(known)

    async def _poll_forever(self) -> None:
        while True:
            polled = await self._consumer.getmany(timeout_ms=POLL_MS)
            # No await between here and the end of the loop: a partition that seeks in between would be given records
            # from before its seek.
            for source, records in polled.items():
                partition = self._partitions.get(source.partition)
                if partition is not None:
                    partition.accept(list(_records(records)))


def _records(records: Iterable[ConsumerRecord[bytes | None, bytes | None]]) -> Iterable[Record]:
    for record in records:
        yield Record(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp,
            key=record.key,
            value=record.value,
            headers=tuple(record.headers),
        )
