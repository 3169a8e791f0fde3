"""An aggregator of a simulation: the real tables, opened, folded and committed step by step as the real owner does."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeAlias

from schemas.events import Row
from streams.runs.changelog import _put, runs_of
from streams.runs.table import Batch, Table, encode_rows
from tests.simulation.group import Group
from tests.simulation.judge import Judge
from tests.simulation.log import NOTHING, Fenced, Log, LogWriter, Source
from tests.simulation.planner import TIMEOUT_MS
from tests.simulation.process import Process
from tests.simulation.toolbox import ROUTES, TOPICS
from tests.simulation.world import Steps

OpenSteps: TypeAlias = Generator[float | None, None, LogWriter]
RIDE_MS = 10.0
REOPEN_MS = 200.0


class SimulatedAggregator(Process):
    """Owns partitions of the runs table."""

    def __init__(self, name: str, log: Log, group: Group, judge: Judge) -> None:
        """Own nothing yet."""
        super().__init__(name, log, group)
        self.judge = judge
        self.partitions: dict[int, SimulatedPartition] = {}

    def forget(self) -> None:
        """Lose all tables."""
        self.generation = -1
        self.revoked()

    def revoked(self) -> None:
        """Let go: the transaction under way may end, and nothing is begun."""
        for partition in self.partitions.values():
            partition.close()
        self.partitions = {}

    def assigned(self, shares: Sequence[Source], generation: int) -> None:
        """Open what is ours."""
        self.generation = generation
        self.revoked()
        for number in sorted({number for _, number in shares}):
            self.partitions[number] = SimulatedPartition(number, self)
            self.world.start(self, self.partitions[number].stay_open())

    def stands_still(self) -> None:
        """Nobody can expect a response of these partitions now."""
        for partition in self.partitions.values():
            self.judge.closed(partition)

    def goes_on(self) -> None:
        """It is still the owner, unless it hears otherwise."""
        for partition in self.partitions.values():
            if partition.table is not None:
                self.judge.opened(partition)


class SimulatedPartition:
    """The owner of one partition, from its assignment to its revocation."""

    def __init__(self, number: int, owner: SimulatedAggregator) -> None:
        """Prepare; `stay_open` does everything."""
        self.number = number
        self.table: Table | None = None
        self.owner = owner
        self.log, self.world, self.judge = owner.log, owner.world, owner.judge
        self.inputs: list[Source] = [(ROUTES.requests, number), (ROUTES.run_events, number)]
        self._positions: dict[Source, int] = {}
        self._is_closed = False

    def close(self) -> None:
        """Stop reading. What is not committed is folded again by the next owner."""
        self._is_closed = True
        self.judge.closed(self)

    def stay_open(self) -> Steps:
        """Open; read and watch beside; commit until closed; open again after an error."""
        while not self._is_closed:
            try:
                writer = yield from self.open()
                yield from self._commit_batches(writer)
            except (Fenced, TimeoutError):
                self.table = None
                self.judge.closed(self)
                yield REOPEN_MS

    def open(self) -> OpenSteps:
        """Fence, load, ask how far, seek: in this order, with time for anything to happen in between."""
        writer = self.fence()
        yield self.world.latency()
        table = self.load()
        yield self.world.latency()
        self.ask_positions()
        yield self.world.latency()
        self.serve(table)
        return writer

    def fence(self) -> LogWriter:
        """Become the one writer."""
        return self.log.fence(ROUTES.transactional_id(self.number))

    def load(self) -> Table:
        """Read the changelog, committed records only."""
        runs = runs_of(changelog_rows(self.log, self.number).values())
        return Table(self.number, ROUTES, TIMEOUT_MS, runs, TOPICS)

    def ask_positions(self) -> None:
        """Ask the group how far the inputs were folded."""
        group = self.owner.group.name
        self._positions = {source: self.log.committed.get((group, source), NOTHING).offset for source in self.inputs}

    def serve(self, table: Table) -> None:
        """Begin to work on what was loaded."""
        if self._is_closed:
            return
        self.table = table
        self.judge.opened(self)
        self.world.start(self.owner, self._read(table))
        self.world.start(self.owner, self._watch_deadlines(table))

    def _is_serving(self, table: Table) -> bool:
        return self.table is table and not self._is_closed

    def _read(self, table: Table) -> Steps:
        while self._is_serving(table):
            readable = [source for source in self.inputs if self.log.has_more(source, self._positions[source])]
            if not readable:
                yield None
                continue
            source = self.world.rng.choice(readable)  # which topic is read first is chance
            limit = self.world.rng.choice((1, 2, 5))
            records, self._positions[source] = self.log.read(source, self._positions[source], limit)
            for record in records:
                table.fold(record)
            self.world.news()
            yield self.world.latency()

    def _watch_deadlines(self, table: Table) -> Steps:
        while self._is_serving(table):
            soonest = table.deadlines.next()
            if soonest is None or soonest > self.owner.clock():
                yield None if soonest is None else 100
                continue
            for out in table.due(self.owner.clock()):
                yield self.world.latency()
                self.log.append(out)

    def _commit_batches(self, writer: LogWriter) -> Steps:
        table = self.table
        while table is not None and self._is_serving(table):
            if table.pending.is_empty:
                yield None
                continue
            if not table.pending.is_urgent:
                yield RIDE_MS
            yield from self.write(writer, table.take_batch())

    def write(self, writer: LogWriter, batch: Batch) -> Steps:
        """Commit a batch as `Writer` does. Now and then what comes of it is not known."""
        for out in [*encode_rows(batch.rows, ROUTES.runs_changelog, self.number), *batch.records]:
            writer.send(out)
            if self.world.rng.random() < 0.3:
                yield self.world.rng.random()
        for topic, offset in batch.offsets.items():
            writer.send_offset(self.owner.group.name, (topic, self.number), offset)
        yield self.world.latency()
        chance = self.world.rng.random() if self.world.faults_left else 1.0
        if chance > 0.01:
            writer.commit()
        if chance < 0.02:
            self.world.seen["unknown commit"] += 1
            raise TimeoutError
        yield self.world.latency()


def changelog_rows(log: Log, number: int) -> dict[str, Row]:
    """Return the last row of each key."""
    rows: dict[str, Row] = {}
    for record in log.read((ROUTES.runs_changelog, number), 0)[0]:
        _put(rows, record.key, record.value, (record.topic, number, record.offset))
    return rows
