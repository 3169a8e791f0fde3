"""An agent of a simulation: many records in hand at once, acknowledged by the real in-order offsets."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.record import Record
from streams.commit_metadata import decode_finished
from streams.faust_consumer import _commit_of
from streams.faust_thread import Commit
from streams.offsets import InOrderOffsets
from streams.routes import Outgoing
from tests.simulation.group import Group
from tests.simulation.judge import Judge
from tests.simulation.log import NOTHING, Log, Source
from tests.simulation.process import Process
from tests.simulation.world import Steps

MAX_LEAD = 20


class Agent(Process):
    """Reads, handles, acknowledges. A subclass says what handling is, and what is lost with the memory."""

    def __init__(self, name: str, log: Log, group: Group, judge: Judge) -> None:
        """Own nothing yet."""
        super().__init__(name, log, group)
        self.judge = judge
        self._offsets: dict[Source, InOrderOffsets] = {}
        self._positions: dict[Source, int] = {}
        self._sent: dict[Source, Commit] = {}
        self._is_commit_due = False

    def handle(self, record: Record) -> Steps:
        """Handle a record: ends when the log has all that comes of it."""
        raise NotImplementedError

    def forget(self) -> None:
        """Lose what is owned."""
        self.generation = -1
        self._is_commit_due = False
        self._let_go()

    def revoked(self) -> None:
        """Commit what is finished and forget the rest; what runs goes on and counts no more."""
        if self.world.rng.random() < 0.8:
            self._commit()
        self._let_go()

    def assigned(self, shares: Sequence[Source], generation: int) -> None:
        """Begin where the group is, without what earlier owners have finished beyond it."""
        self.generation = generation
        self._let_go()
        for source in shares:
            commit = self.log.committed.get((self.group.name, source), NOTHING)
            finished = decode_finished(commit.offset, commit.metadata)
            self.world.seen["inherited"] += bool(finished)
            self._offsets[source] = InOrderOffsets(finished)
            self._positions[source] = commit.offset
        self.world.start(self, self._read(generation))

    def publish(self, out: Outgoing) -> Steps:
        """Append a record and hear that the log has it. A process that dies in between does not hear of it."""
        yield self.world.latency()
        self.log.append(out)
        yield self.world.latency()

    def _let_go(self) -> None:
        self._offsets = {}
        self._positions = {}
        self._sent = {}

    def _read(self, generation: int) -> Steps:
        while generation == self.generation:
            found = False
            for source in list(self._positions):
                if self.log.has_more(source, self._positions[source]) and self._offsets[source].lead < MAX_LEAD:
                    self._read_some(source)
                    found = True
            yield self.world.latency() if found else None

    def _read_some(self, source: Source) -> None:
        if self.world.rng.random() < 0.05:
            # As after a rebalance that has changed nothing: what is in hand is delivered once more.
            self.world.seen["delivered again"] += 1
            self._positions[source] = self.log.committed.get((self.group.name, source), NOTHING).offset
        limit = self.world.rng.choice((1, 2, 4))
        records, self._positions[source] = self.log.read(source, self._positions[source], limit)
        offsets = self._offsets[source]
        for record in records:
            if offsets.begin(record.offset):
                self.judge.begun(self.group, self, record)
                self.world.start(self, self._handle(record, offsets))

    def _handle(self, record: Record, offsets: InOrderOffsets) -> Steps:
        yield from self.handle(record)
        offsets.finish(record.offset)
        self.world.news()
        if not self._is_commit_due:
            self._is_commit_due = True
            self.world.start(self, self._commit_soon())

    def _commit_soon(self) -> Steps:
        yield 100 * self.world.rng.random()
        self._is_commit_due = False
        self._commit()

    def _commit(self) -> None:
        for source, offsets in self._offsets.items():
            commit = _commit_of(offsets)
            if commit is not None and commit != self._sent.get(source) and self.group.commit(self, source, commit):
                self._sent[source] = commit
