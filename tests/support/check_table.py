"""Whether the runs table is a function of the log: folded anew it has the same rows and gives the same responses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from schemas.codec import Malformed
from schemas.events import RUNS_CHANGELOG, Row
from schemas.record import Record
from streams import topology
from streams.runs.changelog import runs_of
from streams.runs.run import Run
from streams.runs.table import Table
from tests.support.violation import Violation
from tests.support.whole_log import Index, WholeLog

FUNCTION = "the table is a function of the log"


def violations(log: WholeLog, index: Index) -> Iterator[Violation]:
    """Fold requests and run events as far as the aggregators have committed, and compare."""
    reached = _reached(log)
    topics = {record.topic for record in log.committed}
    changelog = _changelog(log)
    for partition in sorted({record.partition for record in log.of(log.routes.requests)} | changelog.keys()):
        table = Table(partition, log.routes, log.default_timeout_ms, {}, topics)
        for record in _inputs(log, partition, reached):
            table.fold(record)
        yield from _compared(partition, table._runs, runs_of(changelog.get(partition, {}).values()))
        for written in table.pending.records:
            if written.topic == log.routes.responses and written.key is not None:
                found = index.responses.get(written.key.decode(), [])
                if [record.value for _, record in found[:1]] != [written.value]:
                    yield Violation("replay gives the same response", written.key.decode(), "gets another one")


def _reached(log: WholeLog) -> dict[tuple[str, int], int]:
    group = log.routes.group(topology.AGGREGATOR)
    return {commit.source: commit.offset for commit in log.commits if commit.group == group}


def _inputs(log: WholeLog, partition: int, reached: dict[tuple[str, int], int]) -> list[Record]:
    """List what was folded, in a likely order: requests and run events commute, so any will do."""
    inputs = [
        record
        for topic in (log.routes.requests, log.routes.run_events)
        for record in log.of(topic)
        if record.partition == partition and record.offset < reached.get((topic, partition), 0)
    ]
    return sorted(inputs, key=lambda record: record.timestamp_ms)


def _changelog(log: WholeLog) -> dict[int, dict[str, Row]]:
    """Read the changelog as a new owner does."""
    rows: dict[int, dict[str, Row]] = defaultdict(dict)
    for record in log.of(log.routes.runs_changelog):
        name = (record.key or b"").decode()
        rows[record.partition].pop(name, None)
        if record.value is not None:
            row = RUNS_CHANGELOG.decode(record.value)
            assert not isinstance(row, Malformed), row
            rows[record.partition][name] = row
    return rows


def _compared(partition: int, folded: dict[str, Run], loaded: dict[str, Run]) -> Iterator[Violation]:
    for name in sorted(folded.keys() | loaded.keys()):
        if folded.get(name) != loaded.get(name):
            yield Violation(FUNCTION, f"{name} on {partition}", f"folds to {folded.get(name)}, is {loaded.get(name)}")
