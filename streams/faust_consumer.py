"""Faust's consumer with the parts replaced that lose messages. docs/decisions/0003 says what is wrong with each.

- commits are computed here, from what is unfinished, and never by Faust's acknowledgements; what is finished beyond
  them is said in the commit metadata, so that a crash repeats only what was in flight;
- records are read committed;
- an agent with enough records waiting holds up its own topics only;
- waiting for unfinished work, at a rebalance or at the end, is bounded.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, Message
from mode.types import ServiceT
from structlog.stdlib import get_logger

from streams.commit_metadata import encode_finished
from streams.faust_thread import Commit, ReadCommittedThread
from streams.offsets import InOrderOffsets

log = get_logger()

ENOUGH_WAITING = 200
"""How many records of a topic wait for an agent before no more of them are read. At most a poll more will wait."""

MAX_LEAD = 1_000
"""How many records of a partition may be begun from the lowest unfinished one on. Bounds what a crash could repeat if
the commit metadata were lost, and keeps that metadata within what the broker takes."""

POLL_SECONDS = 0.25
"""How long a poll waits for records."""

HOLDING_POLL_SECONDS = 0.02
"""The same while a topic is held up: its agent may take what waits at any time, and the poll does not hear of it."""

COMMIT_SECONDS = 1.0
"""How long the commit may take that ends a wait for unfinished work. What it does not commit is repeated."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A record that was begun. It belongs to one ownership of its partition: finishing it later has no effect."""

    offsets: InOrderOffsets
    offset: int


class InOrderConsumer(Consumer):
    """Commits, per partition, exactly up to the lowest record that is not finished, and which later ones are.

    `inherited` is what the consumer thread has read of the latter, for the assignment it is about to announce.
    """

    _thread: ReadCommittedThread
    drain_seconds: ClassVar[float]
    client_options: ClassVar[Mapping[str, Any]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed through to Faust
        """Start owning nothing."""
        super().__init__(*args, **kwargs)
        self._offsets: dict[TP, InOrderOffsets] = {}
        self._committed: dict[TP, Commit] = {}
        self.inherited: Mapping[TP, frozenset[int]] = {}
        self._abandoned = 0
        self._progress = asyncio.Event()
        self._waiting: Counter[str] = Counter()
        self._taken = asyncio.Event()

    async def certain(self) -> None:
        """Wait until this process is certain to own what it owns: until then nothing may be begun."""
        await self._thread.membership.certain()

    def begin(self, message: Message) -> Ticket | None:
        """Note that a message is being handled.

        None when it must not be: it was begun before, or it comes from an ownership that has ended.
        """
        if message.generation_id != self.app.consumer_generation_id:
            return None
        self._waiting[message.topic] -= 1
        self._taken.set()
        # A generation is one assignment: a message of this one is of a partition that was owned when it began.
        offsets = self._offsets.get(message.tp)
        if offsets is None:
            offsets = self._offsets[message.tp] = InOrderOffsets()
        return Ticket(offsets, message.offset) if offsets.begin(message.offset) else None

    def finish(self, ticket: Ticket) -> None:
        """Note that all a message caused is confirmed by the broker."""
        ticket.offsets.finish(ticket.offset)
        self._progress.set()
        self._taken.set()

    def abandon(self) -> None:
        """Note that a message will never be finished here: nobody has to wait for it. It stays uncommitted."""
        self._abandoned += 1
        self._progress.set()

    @property
    def unfinished(self) -> int:
        """How many messages of the partitions owned now are not finished."""
        return sum(len(offsets) for offsets in self._offsets.values())

    async def wait_empty(self) -> None:
        """Let handlers finish, `drain_seconds` at most, then commit.

        Faust calls it at a rebalance, and twice at the end: the app before it stops the consumer, and the consumer
        while it stops. The second call finds that it is stopping and only commits, or a stop would take twice as long.
        """
        try:
            async with asyncio.timeout(self.drain_seconds):
                while not self.should_stop and self.unfinished > self._abandoned:
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            log.info("unfinished messages are left to the next owner", messages=self.unfinished)
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                # Faust's commit does nothing while another is under way, which may have begun before the last finish.
                await self.maybe_wait_for_commit_to_finish()
                await self.commit()
        except TimeoutError:
            log.warning("the broker did not confirm the last commit in time: what it held is repeated")

    async def force_commit(
        self,
        topics: object = None,
        start_new_transaction: bool = True,  # noqa: FBT001, FBT002 - Faust's signature
    ) -> bool:
        """Commit what is finished, in order. `topics` is ignored: committing all of it is never wrong."""
        del topics, start_new_transaction
        owned = self.assignment()
        state = {tp: commit for tp, offsets in self._offsets.items() if tp in owned and (commit := _commit_of(offsets))}
        news = {tp: commit for tp, commit in state.items() if commit != self._committed.get(tp)}
        if not news or not await self._thread.commit_with_metadata(news):
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
        self._offsets.update({tp: InOrderOffsets(finished) for tp, finished in self.inherited.items()})
        await super().on_partitions_assigned(assigned, generation_id)

    def _forget(self) -> None:
        self._offsets.clear()
        self._committed.clear()
        self._abandoned = 0
        self._progress.set()
        # Faust empties the agents' queues at a rebalance. A topic that was held up is read again, since that is
        # decided by this count alone: there is no pause that could outlive the records it was made for.
        self._waiting.clear()
        self._taken.set()

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Hand what is read to the agents until the consumer or its fetcher stops.

        In Faust's own loop every message costs four tasks: it waits for the hand-over, a suspension, a stop or a
        crash, whichever is first, because a hand-over may block. Here none does:

        - it blocks while an agent's queue is full. `_readable` sees to it that none ever is.
        - it blocks while flow is suspended, for a rebalance or the end. Suspending is done by this same event loop, so
          it cannot come between the check before each message and the hand-over, which has no other reason to yield
          but a lock that is held while topics are subscribed to. Should it come then, the hand-over ends when flow
          resumes, with a message of an old generation, which `begin` refuses; or the fetcher is stopped, which cancels
          this task.
        """
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._drain_poll()
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.app.should_stop:
                raise

    async def _drain_poll(self) -> None:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type] # it takes any event, as Faust does itself
            return
        readable, holding = self._readable()
        if not readable:
            await self._until_taken()
            return
        records = await self._getmany(readable, HOLDING_POLL_SECONDS if holding else POLL_SECONDS)
        # Read after the poll: it may have begun before a rebalance and ended with records of the new assignment.
        # aiokafka returns none of the old one after it, and a rebalance that began since has stopped the flow.
        generation = self.app.consumer_generation_id
        if not self._flows(generation):
            await self._seek_back()
            return
        for tp, record in self.scheduler.iterate(records):
            # What is left of the batch is lost to this loop but not to the partition: both mean a rebalance or the
            # end, and flow resumes only after a seek to what is committed.
            if not self._flows(generation):
                return
            # Counted first: should the hand-over last until the next ownership, it is forgotten with the others.
            self._waiting[tp.topic] += 1
            await self.callback(self._to_message(tp, record))

    def _flows(self, generation: int) -> bool:
        return self.flow_active and self.app.consumer_generation_id == generation

    def _readable(self) -> tuple[set[TP], bool]:
        """Return what to read from, and whether anything is held up.

        One queue that is full would hold up the one loop that fills all queues, and with it every other agent.
        A set of its own: Faust hands its live one to the thread, and emptied meanwhile that means "everything".
        """
        active = self._get_active_partitions()
        readable = {tp for tp in active if self._waiting[tp.topic] < ENOUGH_WAITING and self._lead(tp) < MAX_LEAD}
        return readable, len(readable) < len(active)

    def _lead(self, tp: TP) -> int:
        offsets = self._offsets.get(tp)
        return offsets.lead if offsets is not None else 0

    async def _until_taken(self) -> None:
        self._taken.clear()
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._taken.wait()
        except TimeoutError:
            pass

    async def _seek_back(self) -> None:
        """Read again, later, what was read while flow was stopped."""
        try:
            await self.perform_seek()
        except Exception as error:  # noqa: BLE001 - as in Faust: nothing may be assigned, and resuming seeks again
            log.info("could not seek while partitions are shared anew", error=repr(error))

    def track_message(self, message: Message) -> None:
        """Do nothing: `begin` keeps track. Faust would keep every message in a set."""

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return ReadCommittedThread(self, loop=self.loop, beacon=self.beacon)


def _commit_of(offsets: InOrderOffsets) -> Commit | None:
    offset = offsets.committable()
    return None if offset is None else Commit(offset, encode_finished(offset, offsets.finished_ahead()))


def in_order_transport(options: Mapping[str, Any], drain_seconds: float) -> type[Transport]:
    """Make a Faust transport whose consumer commits in order, for clients with these aiokafka options."""

    class BoundConsumer(InOrderConsumer):
        pass

    BoundConsumer.client_options = options
    BoundConsumer.drain_seconds = drain_seconds

    class InOrderTransport(Transport):
        Consumer: ClassVar[type[Consumer]] = BoundConsumer

    return InOrderTransport
