"""The thread in which Faust's consumer talks to Kafka: with a client of our making, and no obstacle to an exit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Transport
from faust.types import TP
from mode.threads import ServiceThread, WorkerThread
from structlog.stdlib import get_logger

from streams.commit_metadata import decode_finished
from streams.kafka.clients import SESSION_TIMEOUT_MS, new_group_member
from streams.membership import Membership

log = get_logger()

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


class Commit(NamedTuple):
    """What is committed of a partition: the next offset to read, and what is finished beyond it."""

    offset: int
    metadata: str


class _Owner(Protocol):
    """What the thread needs of the consumer it works for."""

    client_options: Mapping[str, Any]
    inherited: Mapping[TP, frozenset[int]]


class ReadCommittedThread(AIOKafkaConsumerThread):
    """Faust's consumer thread around a consumer of our making: read committed, short session."""

    Worker = _DaemonThread
    shutdown_timeout = LEAVE_SECONDS

    def __post_init__(self) -> None:
        """Begin outside of the group."""
        super().__post_init__()
        self.membership = Membership(SESSION_TIMEOUT_MS / 1000)

    async def on_start(self) -> None:
        """Connect, and watch what the group answers to heartbeats."""
        await super().on_start()
        self.membership.watch(self._ensure_consumer()._coordinator)  # noqa: SLF001 - see Membership

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        del transport
        self._assignor = RoundRobinPartitionAssignor
        options = cast("_Owner", self.consumer).client_options
        return new_group_member(options, self.app.conf.id, self._assignor, max_poll_records=MAX_POLL_RECORDS)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Read what earlier owners have finished out of order, then announce the assignment."""
        self.membership.confirm()
        owner = cast("_Owner", self.consumer)
        owner.inherited = await self._finished_before(assigned)
        await super().on_partitions_assigned(assigned, generation_id)

    async def _finished_before(self, assigned: set[TP]) -> dict[TP, frozenset[int]]:
        # aiokafka's own `committed` leaves the metadata out.
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001 - see above
        try:
            committed = await coordinator.fetch_committed_offsets(list(assigned))
        except KafkaError as error:
            log.warning("what was finished out of order is not known and is repeated", error=repr(error))
            return {}
        return {tp: decode_finished(found.offset, found.metadata) for tp, found in committed.items() if found.metadata}

    async def commit_with_metadata(self, offsets: Mapping[TP, Commit]) -> bool:
        """Commit offsets with their metadata. False when the group has been shared anew: then they are not ours."""
        committed: bool = await self.call_thread(self._commit_with_metadata, offsets)
        return committed

    async def _commit_with_metadata(self, offsets: Mapping[TP, Commit]) -> bool:
        owned = self.assignment()
        commits = {tp: OffsetAndMetadata(*commit) for tp, commit in offsets.items() if tp in owned}
        try:
            await self._ensure_consumer().commit(commits)
        except (CommitFailedError, IllegalStateError) as error:
            log.info("a commit came too late: the partitions were shared anew", error=repr(error))
            return False
        except Exception as error:
            log.exception("a commit failed")
            await self.crash(error)
            return False
        return True

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
