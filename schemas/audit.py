"""The audit record: one per finished run, in a chain that shows when one is missing or changed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Event, Id, Int, Milliseconds, Timestamp
from schemas.run import RunStatus


class AuditRecorded(Event):
    """What happened, for whom, how it ended.

    `sequence` counts the records of one partition from 0; `previous_hash` is the SHA-256 (hex) of the record before.
    """

    type: Literal["audit.recorded"] = "audit.recorded"
    timestamp: Timestamp
    correlation_id: Id
    user_id: str | None = None
    operation: str
    status: RunStatus
    tools_executed: tuple[str, ...] = ()
    execution_time_ms: Milliseconds
    sequence: Annotated[Int, Field(ge=0)]
    previous_hash: str
