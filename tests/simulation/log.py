"""The log of a simulation: partitions with offsets, append times, transactions, and what groups have committed."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from schemas.record import Record
from streams.faust_thread import Commit
from streams.routes import Outgoing
from tests.simulation.world import START_MS, World

PARTITIONS = 2
Source = tuple[str, int]
"""A topic and a partition of it."""

NOTHING = Commit(0, "")
"""What a group has committed that has not."""


class Fenced(Exception):
    """Someone else writes under this transactional id now."""


@dataclass(slots=True)
class Transaction:
    """Records and offsets that become visible together, or never."""

    state: Literal["open", "committed", "aborted"] = "open"
    entries: list[Record] = field(default_factory=list)
    offsets: dict[tuple[str, Source], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in a partition. `record` None is the marker of a transaction's end."""

    record: Record | None
    transaction: Transaction | None


class Log:
    """All topics, of `PARTITIONS` partitions each."""

    def __init__(self, world: World) -> None:
        """Start empty."""
        self.world = world
        self.committed: dict[tuple[str, Source], Commit] = {}
        self.told: Callable[[Record], None] = lambda _: None
        """Told of every record when it becomes visible."""
        self._partitions: defaultdict[Source, list[Entry]] = defaultdict(list)
        self._writers: dict[str, LogWriter] = {}

    def append(self, out: Outgoing, transaction: Transaction | None = None) -> Record:
        """Append a record; the key decides the partition where none is given."""
        number = zlib.crc32(out.key or b"") % PARTITIONS if out.partition is None else out.partition
        entries = self._partitions[out.topic, number]
        at = START_MS + int(self.world.now)
        record = Record(out.topic, number, len(entries), at, out.key, out.value, out.headers)
        entries.append(Entry(record, transaction))
        if transaction is not None:
            transaction.entries.append(record)
        else:
            self.told(record)
            self.world.news()
        return record

    def read(self, source: Source, offset: int, limit: int = 1_000_000) -> tuple[list[Record], int]:
        """Read committed records from `offset` on; return them and where to read on."""
        found: list[Record] = []
        for entry in self._partitions[source][offset:]:
            transaction = entry.transaction
            if len(found) == limit or (transaction is not None and transaction.state == "open"):
                break
            offset += 1
            if entry.record is not None and (transaction is None or transaction.state == "committed"):
                found.append(entry.record)
        return found, offset

    def has_more(self, source: Source, offset: int) -> bool:
        """Tell whether there is anything to read from `offset` on: quick, because it is asked very often."""
        entries = self._partitions[source]
        if offset >= len(entries):
            return False
        transaction = entries[offset].transaction
        return transaction is None or transaction.state != "open"

    def all(self, topic: str) -> Iterable[Record]:
        """Yield the committed records of a topic."""
        for number in range(PARTITIONS):
            yield from self.read((topic, number), 0)[0]

    def fence(self, transactional_id: str) -> LogWriter:
        """Become the one writer of that id; what an earlier one left open is aborted."""
        earlier = self._writers.get(transactional_id)
        if earlier is not None:
            earlier.abort()
            self.world.seen["fence"] += 1
        writer = self._writers[transactional_id] = LogWriter(self, transactional_id)
        return writer

    def is_writer(self, writer: LogWriter) -> bool:
        """Tell whether nobody has fenced it."""
        return self._writers[writer.transactional_id] is writer

    def end(self, transaction: Transaction, state: Literal["committed", "aborted"]) -> None:
        """End a transaction: its markers take an offset in each partition it wrote to."""
        transaction.state = state
        self.world.seen[f"transaction {state}"] += 1
        for source in {(record.topic, record.partition): None for record in transaction.entries}:
            self._partitions[source].append(Entry(None, None))
        if state == "committed":
            self.committed.update({key: Commit(offset, "") for key, offset in transaction.offsets.items()})
            for record in transaction.entries:
                self.told(record)
        self.world.news()


class LogWriter:
    """A transactional producer. Each method raises `Fenced` once another has taken its place."""

    def __init__(self, log: Log, transactional_id: str) -> None:
        """Start without a transaction."""
        self.transactional_id = transactional_id
        self._log = log
        self._open: Transaction | None = None

    def send(self, out: Outgoing) -> None:
        """Append a record to the transaction, which begins with its first."""
        self._log.append(out, self._current())

    def send_offset(self, group: str, source: Source, offset: int) -> None:
        """Move a group with the transaction."""
        self._current().offsets[group, source] = offset

    def commit(self) -> None:
        """Make it all visible."""
        transaction, self._open = self._current(), None
        self._log.end(transaction, "committed")

    def abort(self) -> None:
        """Make none of it visible."""
        if self._open is not None:
            self._log.end(self._open, "aborted")
            self._open = None

    def _current(self) -> Transaction:
        if not self._log.is_writer(self):
            self._log.world.seen["fenced"] += 1
            raise Fenced
        if self._open is None:
            self._open = Transaction()
        return self._open
