"""The changelog: a partition of the runs table as it lies in Kafka, read back into runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from aiokafka import TopicPartition

from schemas.codec import Malformed
from schemas.errors import OrchestratorError
from schemas.events import RUNS_CHANGELOG, Row
from schemas.rows import CallRow, FinishedRow, RunRow
from streams.kafka.clients import new_reader, started
from streams.runs.run import OpenRun, Run

STALL_SECONDS = 30.0
"""How long reading may make no progress. The whole may take as long as it takes."""


class ChangelogUnreadable(OrchestratorError):
    """{topic}[{partition}]@{offset} is not a row of the runs table: {reason}.

    Was it written by a newer version?
    """


async def load_runs(options: Mapping[str, Any], topic: str, partition: int) -> dict[str, Run]:
    """Read a partition of the changelog from its start to its last committed record and return its runs.

    The caller must have fenced the partition's writer before: only then nothing can be appended behind the end that is
    read here. Raises `ChangelogUnreadable`, `TimeoutError` or a Kafka error.
    """
    rows: dict[str, Row] = {}
    source = TopicPartition(topic, partition)
    async with started(new_reader(options), options["bootstrap_servers"]) as reader:
        reader.assign([source])
        await reader.seek_to_beginning(source)
        end = (await reader.end_offsets([source]))[source]
        async with asyncio.timeout(STALL_SECONDS) as stall:
            while await reader.position(source) < end:
                for record in (await reader.getmany(source, timeout_ms=200)).get(source, ()):
                    _put(rows, record.key, record.value, (topic, partition, record.offset))
                    stall.reschedule(asyncio.get_running_loop().time() + STALL_SECONDS)
    return runs_of(rows.values())


def _put(rows: dict[str, Row], key: bytes | None, value: bytes | None, position: tuple[str, int, int]) -> None:
    name = (key or b"").decode()
    if value is None:
        rows.pop(name, None)
        return
    row = RUNS_CHANGELOG.decode(value)
    if isinstance(row, Malformed):
        topic, partition, offset = position
        raise ChangelogUnreadable(topic=topic, partition=partition, offset=offset, reason=row.reason)
    # Later rows of a key come later in the order of calls too, as when they were folded.
    rows.pop(name, None)
    rows[name] = row


def runs_of(rows: Iterable[Row]) -> dict[str, Run]:
    """Put rows together into runs."""
    heads: dict[str, RunRow] = {}
    calls: dict[str, dict[str, CallRow]] = {}
    runs: dict[str, Run] = {}
    for row in rows:
        match row:
            case RunRow():
                heads[row.correlation_id] = row
            case CallRow():
                calls.setdefault(row.correlation_id, {})[row.call_id] = row
            case FinishedRow():
                runs[row.correlation_id] = row
    for name, head in heads.items():
        runs[name] = OpenRun(head, MappingProxyType(calls.get(name, {})))
    return runs
