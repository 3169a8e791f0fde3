"""What a tool may know about the call it runs."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.base import Timestamp


@dataclass(frozen=True, slots=True)
class CallContext:
    """The call being run.

    `call_id` is the idempotency key: a repeated call has the same one. `deadline_at` is when the run ends (UTC);
    `attempt` counts from 1.
    """

    call_id: str
    correlation_id: str
    tenant: str
    deadline_at: Timestamp
    attempt: int = 1
