"""A request, as small as `{"prompt": "..."}`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from schemas.base import Event, Id, Int, JsonObject
from schemas.tool_spec import ToolName

MAX_REQUEST_BYTES = 1024 * 1024
"""Size of the largest request, in bytes of JSON. The broker's limit for a record counts compressed bytes, so it alone
bounds nothing; and what is read here comes back in turns and responses, which have to fit into a record too."""

MAX_TIMEOUT_MS = 24 * 60 * 60 * 1000
"""The furthest deadline a request may ask for: one day, well inside the retention of every topic."""


def _not_blank(text: str) -> str:
    if not text.strip():
        message = "is empty: say what to do"
        raise ValueError(message)
    return text


Prompt = Annotated[str, AfterValidator(_not_blank)]
Mode = Literal["answer", "results"]
"""`answer`: loop until the model answers. `results`: one turn, results only."""


class RequestSubmitted(Event):
    """A prompt to answer.

    Without `correlation_id` the record's key is the id, and without a key it is derived from topic, partition and
    offset, so that a redelivery has the same id. `tools` limits which tools the model may call; None means all.
    `timeout_ms` None means `ORCHESTRATOR_TIMEOUT_MS`; `model` None means `ORCHESTRATOR_MODEL`. `metadata` is echoed.
    """

    type: Literal["request.submitted"] = "request.submitted"
    prompt: Prompt
    correlation_id: Id | None = None
    user_id: Annotated[str, StringConstraints(max_length=200)] | None = None
    tenant: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "default"
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    tools: tuple[ToolName, ...] | None = None
    mode: Mode = "answer"
    max_turns: Annotated[Int, Field(ge=1, le=100)] = 8
    timeout_ms: Annotated[Int, Field(ge=1, le=MAX_TIMEOUT_MS)] | None = None
    metadata: JsonObject = Field(default_factory=dict)
