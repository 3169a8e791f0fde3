"""Records as they lie in Kafka, for code that reads them."""

from __future__ import annotations

from itertools import count

from schemas.base import Event
from schemas.codec import encode
from schemas.record import Headers, Record
from tests.support.facts import RUN, START

OFFSETS = count()
START_MS = round(START.timestamp() * 1000)


def record(
    value: bytes | Event | None,
    *,
    topic: str = "run-events",
    key: bytes | None = RUN.encode(),
    offset: int | None = None,
    ms: int = 0,
    headers: Headers = (),
) -> Record:
    """Make a record of partition 3, appended `ms` after `START`; offsets go up by themselves."""
    return Record(
        topic=topic,
        partition=3,
        offset=next(OFFSETS) if offset is None else offset,
        timestamp_ms=START_MS + ms,
        key=key,
        value=encode(value) if isinstance(value, Event) else value,
        headers=headers,
    )


def request(value: bytes = b'{"prompt": "do it"}', *, ms: int = 0, key: bytes | None = RUN.encode()) -> Record:
    """Make a record of `requests`."""
    return record(value, topic="requests", ms=ms, key=key)
