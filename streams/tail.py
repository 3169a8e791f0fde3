"""`orchestrator tail`: follows a topic and prints each record, decoded, as one line of JSON."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
from aiokafka.structs import ConsumerRecord

from streams.client import NoTopics
from streams.kafka.clients import new_reader, partitions_of, started
from streams.plain_text import printable_json


async def tail(
    options: Mapping[str, Any], topic: str, *, from_beginning: bool = False, count: int | None = None
) -> None:
    """Print the committed records of a topic from now on, or from its beginning; stop after `count`, if given."""
    seen = 0
    async for record in _records(options, topic, from_beginning=from_beginning):
        sys.stdout.write(line(record) + "\n")
        sys.stdout.flush()
        seen += 1
        if count is not None and seen >= count:
            return


def line(record: ConsumerRecord[bytes | None, bytes | None]) -> str:
    """Write a record as JSON: where it is, its key, and its value decoded when it is JSON, else as text.

    What is not printable is escaped: the text is others', the terminal is ours.
    """
    described = {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp,
        "key": _text(record.key),
        "value": _value(record.value),
    }
    try:
        written = orjson.dumps(described)
    except orjson.JSONEncodeError:  # it can be read, but nests deeper than can be written
        written = orjson.dumps({**described, "value": _text(record.value)})
    return printable_json(written.decode())


def _value(value: bytes | None) -> object:
    try:
        return orjson.loads(value) if value is not None else None
    except orjson.JSONDecodeError:
        return _text(value)


def _text(data: bytes | None) -> str | None:
    return data.decode(errors="backslashreplace") if data is not None else None


async def _records(
    options: Mapping[str, Any], topic: str, *, from_beginning: bool
) -> AsyncIterator[ConsumerRecord[bytes | None, bytes | None]]:
    async with started(new_reader(options), options["bootstrap_servers"]) as reader:
        sources = await partitions_of(reader, topic)
        if not sources:
            raise NoTopics(servers=options["bootstrap_servers"], topic=topic)
        reader.assign(sources)
        await (reader.seek_to_beginning if from_beginning else reader.seek_to_end)(*sources)
        async for record in reader:
            yield record
