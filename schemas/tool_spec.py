"""What the world is told about a tool: the part of it that a model sees and the part that decides how it is run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.base import Int, JsonObject, Model

ToolName = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")]

Effect = Literal["pure", "effectful"]
"""`pure`: may be run early and again. `effectful`: runs only after its plan is committed, under its call id as
idempotency key."""


class ToolSpec(Model):
    """A tool as declared by its owner.

    `parameters` is a JSON Schema (draft 2020-12) of type object; arguments are validated against it strictly.
    `timeout_ms` bounds one attempt; None means `ORCHESTRATOR_TOOL_TIMEOUT_MS`. `toolset` is the deployment unit that
    runs it.
    """

    name: ToolName
    description: str = ""
    parameters: JsonObject
    effect: Effect = "pure"
    timeout_ms: Annotated[Int, Field(gt=0)] | None = None
    toolset: str = "default"
