"""The owner of one partition of the runs table: opens it, folds what is read, commits, and opens it anew on error.

To open is five steps whose order is the protocol (another order loses or doubles):

1. fence      become the only writer, so that the changelog ends where it ends
2. load       read the changelog, committed records only
3. catch up   commit once, so that a coordinator that has just come back knows what was committed (docs/decisions/0005)
4. committed  ask the group how far the inputs were folded: the offset belongs to exactly this state
5. seek       read the inputs from there
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalOperation, IllegalStateError, KafkaError, ProducerFenced
from structlog.stdlib import get_logger

from agents.clock import Clock, milliseconds_until
from schemas.errors import OrchestratorError
from schemas.record import Record
from streams.kafka.clients import SESSION_TIMEOUT_MS
from streams.outbox import NotPublished, Outbox
from streams.routes import Routes
from streams.runs.changelog import load_runs
from streams.runs.table import Table
from streams.runs.writer import Writer

log = get_logger()

RIDE_SECONDS = 0.010
"""How long a fact that nobody waits for may wait for a transaction to ride in."""

MAX_PENDING_RECORDS = 5_000
MAX_PENDING_BYTES = 16 * 1024 * 1024
"""How much may be folded beyond the last commit before reading pauses: what one transaction has to write in time."""

CLOSE_SECONDS = 5.0
"""How long the transaction under way may take to finish when the partition is given up."""

DEADLINE_SECONDS = 0.1
"""How often, at least, it is looked whether a sooner deadline has come up meanwhile."""

REOPEN_SECONDS = (0.2, 0.5, 2.0, 10.0)
"""Pauses before a partition that erred is opened again: the first time, the second, ... until a commit succeeds."""


@dataclass(frozen=True, slots=True)
class Aggregation:
    """What all partitions of an aggregator process share."""

    options: dict[str, Any]
    routes: Routes
    group: str
    consumer: AIOKafkaConsumer
    outbox: Outbox
    clock: Clock
    default_timeout_ms: int
    topics: set[str]
    """Topics the broker has, looked up again every few seconds: a call for another one fails instead of waiting."""
    report: Callable[[asyncio.Task[None]], None]
    """Told of every partition whose task has ended, so that a fault ends the role instead of a partition in silence."""


class Partition:
    """One owned partition. Runs until closed."""

    def __init__(self, number: int, shared: Aggregation) -> None:
        """Prepare; `start` opens it."""
        self.number = number
        self.opened = asyncio.Event()
        self._shared = shared
        self._inputs = [TopicPartition(topic, number) for topic in (shared.routes.requests, shared.routes.run_events)]
        self._table: Table | None = None
        self._arrived = asyncio.Event()
        self._urgent = asyncio.Event()
        self._closing = asyncio.Event()
        self._paused = False
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Open in the background, and stay open."""
        self._shared.consumer.pause(*self._inputs)
        self._task = asyncio.create_task(self._stay_open(), name=f"partition {self.number}")
        self._task.add_done_callback(self._shared.report)

    async def close(self) -> None:
        """Finish the transaction under way and let go. What is not committed is folded again by the next owner."""
        self._closing.set()
        self._arrived.set()
        self._urgent.set()
        if self._task is None:
            return
        if self._table is None:
            self._task.cancel()  # still opening: nothing to finish
        await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
        if not self._task.done():
            self._task.cancel()  # the broker does not answer: the transaction will be aborted by the next owner
            await asyncio.wait({self._task})

    def accept(self, records: Sequence[Record]) -> None:
        """Fold records that were read. While the partition is not open they are dropped: opening seeks back to them."""
        table = self._table
        if table is None or self._closing.is_set():
            return
        for record in records:
            table.fold(record)
        if table.pending.is_urgent:
            self._urgent.set()
        self._arrived.set()
        pending = table.pending
        if not self._paused and (pending.folded > MAX_PENDING_RECORDS or pending.bytes > MAX_PENDING_BYTES):
            self._shared.consumer.pause(*self._inputs)
            self._paused = True

    async def _stay_open(self) -> None:
        while not self._closing.is_set():
            writer: Writer | None = None
            try:
                writer = await self._open()
                await self._serve(writer)
            except (ProducerFenced, IllegalOperation):
                # Someone owns this partition now, and we are about to hear of it. Opening again at once would fence
                # the rightful owner; should it still be ours after a whole session, it is. A transaction that was
                # under way when the producer learned of it meets the second error.
                log.warning("fenced by another owner", partition=self.number)
                await self._wait(SESSION_TIMEOUT_MS / 1000)
            except (KafkaError, NotPublished, OSError, TimeoutError, IllegalStateError, OrchestratorError) as error:
                pause = REOPEN_SECONDS[min(self._failures, len(REOPEN_SECONDS) - 1)]
                self._failures += 1
                log.warning(
                    "a partition is thrown away and opened again",
                    partition=self.number,
                    error=repr(error),
                    failures=self._failures,
                )
                await self._wait(pause)
            finally:
                self._forget()
                if writer is not None:
                    await writer.close()

    async def _open(self) -> Writer:
        shared = self._shared
        writer = await Writer.fence(shared.options, self.number, shared.routes, shared.group)
        try:
            changelog = TopicPartition(shared.routes.runs_changelog, self.number)
            runs = await load_runs(shared.options, changelog.topic, self.number)
            await writer.catch_up((await shared.consumer.end_offsets([changelog]))[changelog])
            for source in self._inputs:
                committed = await shared.consumer.committed(source)
                if committed is None:
                    await shared.consumer.seek_to_beginning(source)
                else:
                    shared.consumer.seek(source, committed)
        except BaseException:
            await writer.close()
            raise
        table = Table(self.number, shared.routes, shared.default_timeout_ms, runs, shared.topics)
        self._table = table
        shared.consumer.resume(*self._inputs)
        self.opened.set()
        log.info("partition open", partition=self.number, open_runs=len(table), known_runs=len(runs))
        return writer

    async def _serve(self, writer: Writer) -> None:
        """Commit and watch deadlines until closed in order, which ends the commits, or until one of the two fails."""
        tasks = {
            asyncio.create_task(self._commit_batches(writer), name=f"commits {self.number}"),
            asyncio.create_task(self._watch_deadlines(), name=f"deadlines {self.number}"),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _commit_batches(self, writer: Writer) -> None:
        """Commit at once what ends or advances a run; let other facts ride along, at most `RIDE_SECONDS` late."""
        while not self._closing.is_set():
            await self._arrived.wait()
            table = self._table
            if table is None:
                return
            if not table.pending.is_urgent and not self._closing.is_set():
                try:
                    async with asyncio.timeout(RIDE_SECONDS):
                        await self._urgent.wait()
                except TimeoutError:
                    pass
            self._arrived.clear()
            self._urgent.clear()
            batch = table.take_batch()
            if batch.is_empty:
                continue
            await writer.write(batch)
            self._failures = 0
            if self._paused:
                self._shared.consumer.resume(*self._inputs)
                self._paused = False

    async def _watch_deadlines(self) -> None:
        """Append `deadline.reached` for each run whose time is up. It takes effect when it is read back."""
        while True:
            table = self._table
            if table is None:
                return
            due = table.due(self._shared.clock())
            if due:
                await self._shared.outbox.publish(*due)
            await self._until_next_deadline(table)

    async def _until_next_deadline(self, table: Table) -> None:
        soonest = table.deadlines.next()
        pause = DEADLINE_SECONDS if soonest is None else milliseconds_until(soonest, self._shared.clock()) / 1000
        await asyncio.sleep(min(DEADLINE_SECONDS, max(0.0, pause)))

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass

    def _forget(self) -> None:
        self._table = None
        self._paused = False
        self._arrived.clear()
        self._urgent.clear()
        if not self._closing.is_set():
            self.opened.clear()
            try:
                self._shared.consumer.pause(*self._inputs)
            except IllegalStateError:
                log.info("a partition that erred is not ours any more", partition=self.number)
