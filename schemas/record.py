"""A record as it lies in Kafka: bytes and where they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas.base import timestamp_from_ms

Headers = tuple[tuple[str, bytes | None], ...]
"""Names and values; Kafka allows a null value."""

TRACEPARENT = "traceparent"
"""W3C trace context header, carried through every hop of a run."""

MAX_TRACEPARENT_BYTES = 256
"""A longer one is none (version 00 has 55): it would go into every record of the run."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `timestamp_ms` is the broker's append time in milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def at(self) -> datetime:
        """When the broker appended it, UTC."""
        return timestamp_from_ms(self.timestamp_ms)

    @property
    def traceparent(self) -> str | None:
        """The trace this record belongs to, or None."""
        for name, value in self.headers:
            if name == TRACEPARENT and value is not None and len(value) <= MAX_TRACEPARENT_BYTES:
                return value.decode("ascii", "replace")
        return None
