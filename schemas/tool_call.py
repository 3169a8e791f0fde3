"""A tool call and its outcome: the whole contract a worker in any language has to know.

A worker reads `tool_call.requested` from its topic, does the work once per `call_id` (the idempotency key) and writes
one outcome to `reply_to`. Only `type`, `correlation_id`, `call_id` and `result` or `error` are required of it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Bool, Event, Id, Int, JsonObject, JsonValue, Milliseconds, Model, Timestamp
from schemas.failure import Failure


class ReplyTo(Model):
    """Where the outcome goes: this very partition, because the run lives there (affinity is carried, not computed)."""

    topic: str
    partition: Annotated[Int, Field(ge=0)]


class ToolCallRequested(Event):
    """A call to run before `deadline_at`. `attempt` counts publications by the orchestrator, from 1."""

    type: Literal["tool_call.requested"] = "tool_call.requested"
    correlation_id: Id
    call_id: Id
    turn: Annotated[Int, Field(ge=1)]
    tool: str
    arguments: JsonObject
    deadline_at: Timestamp
    attempt: Annotated[Int, Field(ge=1)] = 1
    tenant: str = "default"
    reply_to: ReplyTo


class _Outcome(Event):
    """What is common to the three ways a call can end.

    `attempts` counts tries inside the worker. `tool` is for whoever watches; nothing depends on it.
    """

    correlation_id: Id
    call_id: Id
    tool: str | None = None
    attempts: Annotated[Int, Field(ge=0)] = 1
    started_at: Timestamp | None = None
    duration_ms: Milliseconds | None = None


class ToolCallSucceeded(_Outcome):
    """The call ran and returned `result`, any JSON value. `cached`: it was answered without running."""

    type: Literal["tool_call.succeeded"] = "tool_call.succeeded"
    result: JsonValue
    cached: Bool = False


class ToolCallFailed(_Outcome):
    """The call ended without a result, for the reason in `error`."""

    type: Literal["tool_call.failed"] = "tool_call.failed"
    error: Failure


class ToolCallTimedOut(_Outcome):
    """The call ran out of its attempt's time, or its deadline had passed before it could start (`attempts` 0)."""

    type: Literal["tool_call.timed_out"] = "tool_call.timed_out"
    error: Failure


Outcome = ToolCallSucceeded | ToolCallFailed | ToolCallTimedOut
