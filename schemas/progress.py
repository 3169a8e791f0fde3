"""For people watching: best effort, may be lost, decides nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Event, Id, Int, Timestamp


class LlmDelta(Event):
    """A piece of the text a model is writing."""

    type: Literal["llm.delta"] = "llm.delta"
    correlation_id: Id
    turn: Annotated[Int, Field(ge=1)]
    text: str


class ToolCallStarted(Event):
    """A worker began to run a call."""

    type: Literal["tool_call.started"] = "tool_call.started"
    correlation_id: Id
    call_id: Id
    tool: str
    started_at: Timestamp
