"""The answer to a request: `run.finished`, one per correlation id, and what it is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Bool, Event, Id, Int, JsonObject, JsonValue, Milliseconds, Model, Timestamp
from schemas.failure import Failure

RunStatus = Literal["completed", "partial", "failed", "timed_out", "cancelled", "rejected"]
CallStatus = Literal["succeeded", "failed", "timed_out", "cancelled", "skipped", "superseded"]


Tokens = Annotated[Int, Field(ge=0, le=10**12)]
"""A count of tokens. Bounded, so that the sum over a run's turns is still a number JSON can carry."""


class Usage(Model):
    """Tokens, as the provider counted them."""

    input_tokens: Tokens = 0
    output_tokens: Tokens = 0

    def __add__(self, other: Usage) -> Usage:
        """Sum of both."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )


class CallResult(Model):
    """How one call of the run ended.

    `turn` and `arguments` are null for `superseded` orphans: the plan that named them lost, so nobody recorded them.
    """

    call_id: Id
    turn: Annotated[Int, Field(ge=1)] | None
    tool: str | None
    arguments: JsonValue
    status: CallStatus
    result: JsonValue = None
    error: Failure | None = None
    attempts: Annotated[Int, Field(ge=0)] = 0
    cached: Bool = False
    started_at: Timestamp | None = None
    duration_ms: Milliseconds | None = None


class RunFinished(Event):
    """The response.

    `completed`: everything asked for happened. `partial`: the deadline came or a call failed, but something finished.
    `failed`, `timed_out`, `cancelled`: nothing useful finished. `rejected`: the request was invalid; `error` says why.
    `submitted_at` is the request record's timestamp, `finished_at` that of the event that ended the run (broker time).
    """

    type: Literal["run.finished"] = "run.finished"
    correlation_id: Id
    status: RunStatus
    answer: str | None = None
    results: tuple[CallResult, ...] = ()
    error: Failure | None = None
    turns: Annotated[Int, Field(ge=0)] = 0
    usage: Usage = Usage()
    submitted_at: Timestamp
    finished_at: Timestamp
    duration_ms: Milliseconds
    user_id: str | None = None
    tenant: str = "default"
    metadata: JsonObject = Field(default_factory=dict)


class RunCancelled(Event):
    """Told to every process so that queued and running calls of the run stop. Best effort."""

    type: Literal["run.cancelled"] = "run.cancelled"
    correlation_id: Id
