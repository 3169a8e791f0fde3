"""Faust's consumer with the parts replaced that lose messages. docs/decisions/0003 says what is wrong with each.

- commits are computed here, from what is unfinished, and never by Faust's acknowledgements;
- records are read committed;
- waiting for unfinished work, at a rebalance or at the end, is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, Message
from structlog.stdlib import get_logger

from streams.kafka.clients import new_group_member
from streams.offsets import InOrderOffsets

log = get_logger()

MAX_POLL_RECORDS = 500


@dataclass(frozen=True, slots=True)
class Ticket:
    """A record that was begun. It belongs to one ownership of its partition: finishing it later has no effect."""

    offsets: InOrderOffsets
    offset: int


class InOrderConsumer(Consumer):
    """Commits, per partition, exactly up to the lowest record that is not finished."""

    drain_seconds: ClassVar[float]
    client_options: ClassVar[Mapping[str, Any]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed through to Faust
        """Start owning nothing."""
        super().__init__(*args, **kwargs)
        self._offsets: dict[TP, InOrderOffsets] = {}
        self._committed: dict[TP, int] = {}
        self._progress = asyncio.Event()

    def begin(self, message: Message) -> Ticket | None:
        """Note that a message is being handled.

        None when it must not be: it was begun before, or it comes from an ownership that has ended.
        """
        if message.generation_id != self.app.consumer_generation_id or message.tp not in self.assignment():
            return None
        offsets = self._offsets.setdefault(message.tp, InOrderOffsets())
        return Ticket(offsets, message.offset) if offsets.begin(message.offset) else None

    def finish(self, ticket: Ticket) -> None:
        """Note that all a message caused is confirmed by the broker."""
        ticket.offsets.finish(ticket.offset)
        self._progress.set()

    @property
    def unfinished(self) -> int:
        """How many messages of the partitions owned now are not finished."""
        return sum(len(offsets) for offsets in self._offsets.values())

    async def wait_empty(self) -> None:
        """Let handlers finish, `drain_seconds` at most, then commit. Faust calls it at a rebalance and at the end."""
        try:
            async with asyncio.timeout(self.drain_seconds):
                while self.unfinished:
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            log.info("unfinished messages are left to the next owner", messages=self.unfinished)
        await self.commit()

    async def force_commit(
        self,
        topics: object = None,
        start_new_transaction: bool = True,  # noqa: FBT001, FBT002 - Faust's signature
    ) -> bool:
        """Commit what is finished, in order. `topics` is ignored: committing all of it is never wrong."""
        del topics, start_new_transaction
        owned = self.assignment()
        news = {
            tp: offset
            for tp, offsets in self._offsets.items()
            if tp in owned and (offset := offsets.committable()) is not None and offset != self._committed.get(tp)
        }
        if not news or not await self._commit(news):
            return False
        self._committed.update(news)
        return True

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish and commit what can be in time, then forget: what is begun under this ownership counts no more."""
        await super().on_partitions_revoked(revoked)
        self._forget()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Begin anew: what was begun between the revocation and now was of the old ownership."""
        self._forget()
        await super().on_partitions_assigned(assigned, generation_id)

    def _forget(self) -> None:
        self._offsets.clear()
        self._committed.clear()

    def track_message(self, message: Message) -> None:
        """Do nothing: `begin` keeps track. Faust would keep every message in a set."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: Faust would count the first record behind a transaction marker as done."""

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _ReadCommittedThread(self, loop=self.loop, beacon=self.beacon)


class _ReadCommittedThread(AIOKafkaConsumerThread):
    """Faust's consumer thread around a consumer of our making: read committed, short session."""

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        del transport
        self._assignor = RoundRobinPartitionAssignor
        options = cast("InOrderConsumer", self.consumer).client_options
        return new_group_member(options, self.app.conf.id, self._assignor, max_poll_records=MAX_POLL_RECORDS)


def in_order_transport(options: Mapping[str, Any], drain_seconds: float) -> type[Transport]:
    """Make a Faust transport whose consumer commits in order, for clients with these aiokafka options."""

    class BoundConsumer(InOrderConsumer):
        pass

    BoundConsumer.client_options = options
    BoundConsumer.drain_seconds = drain_seconds

    class InOrderTransport(Transport):
        Consumer: ClassVar[type[Consumer]] = BoundConsumer

    return InOrderTransport
