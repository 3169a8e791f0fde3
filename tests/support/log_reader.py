"""Reads everything an installation has left behind on a broker."""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.record import Record
from streams.kafka.clients import MAX_BATCH_BYTES, new_reader, started
from streams.routes import Routes
from tests.support.whole_log import Execution, GroupCommit, WholeLog

OFFSETS_TOPIC = "__consumer_offsets"
OFFSET_KEY_VERSIONS = (0, 1)
LEADER_EPOCH_SINCE = 3
"""The version of a commit's value that first has an epoch between offset and metadata."""
COMPACT_SINCE = 4
"""The version whose texts have their length as a varint."""


async def read_whole_log(
    options: Mapping[str, Any], routes: Routes, topics: Collection[str], ledger: Path | None = None
) -> WholeLog:
    """Read these topics in both ways, all commits of this installation's groups, and the tools' own account."""
    committed = await _read(new_reader(options), options, topics)
    eager = AIOKafkaConsumer(
        **options,
        isolation_level="read_uncommitted",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MAX_BATCH_BYTES,
    )
    uncommitted = await _read(eager, options, topics)
    commits = [
        commit
        for record in await _read(new_reader(options), options, [OFFSETS_TOPIC])
        if (commit := read_commit(record)) is not None and commit.group.startswith(routes.prefix)
    ]
    executions = read_ledger(ledger) if ledger is not None else []
    return WholeLog(routes, committed, uncommitted, commits, executions)


async def _read(reader: AIOKafkaConsumer, options: Mapping[str, Any], topics: Collection[str]) -> list[Record]:
    records: list[Record] = []
    async with started(reader, options["bootstrap_servers"]):
        known = await reader._client.fetch_all_metadata()
        sources = [
            TopicPartition(topic, number) for topic in topics for number in sorted(known.partitions_for_topic(topic))
        ]
        reader.assign(sources)
        await reader.seek_to_beginning(*sources)
        ends = await reader.end_offsets(sources)
        while [source for source in sources if await reader.position(source) < ends[source]]:
            for found in (await reader.getmany(timeout_ms=200)).values():
                records += [
                    Record(
                        topic=one.topic,
                        partition=one.partition,
                        offset=one.offset,
                        timestamp_ms=one.timestamp,
                        key=one.key,
                        value=one.value,
                        headers=tuple(one.headers),
                    )
                    for one in found
                ]
    return records


def read_commit(record: Record) -> GroupCommit | None:
    """Read a record of the broker's own topic; None when it is something else, or takes a commit back.

    Key: version, group, topic, partition. Value: version, offset, (epoch,) metadata, time, ...
    """
    key = record.key or b""
    if record.value is None or len(key) < struct.calcsize(">h"):
        return None
    (version,) = struct.unpack_from(">h", key)
    if version not in OFFSET_KEY_VERSIONS:
        return None
    group, end = _text(key, 2)
    topic, end = _text(key, end)
    (partition,) = struct.unpack_from(">i", key, end)
    value_version, offset = struct.unpack_from(">hq", record.value)
    start = 14 if value_version >= LEADER_EPOCH_SINCE else 10
    read = _compact_text if value_version >= COMPACT_SINCE else _text
    metadata, _ = read(record.value, start)
    return GroupCommit(group, (topic, partition), offset, metadata, record.timestamp_ms)


def _compact_text(data: bytes, start: int) -> tuple[str, int]:
    """Read a text whose length, plus one, is a varint."""
    length = shift = 0
    while True:
        byte = data[start]
        start += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # the last one
            break
    end = start + max(0, length - 1)
    return data[start:end].decode(), end


def _text(data: bytes, start: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", data, start)
    end = start + 2 + length
    return data[start + 2 : end].decode(), end


def read_ledger(path: Path) -> list[Execution]:
    """Read what tools wrote when they began: a line of JSON each."""
    if not path.exists():
        return []
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    return [Execution(line["call_id"], line["at_ms"], line["process"]) for line in lines]
