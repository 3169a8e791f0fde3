"""A further model turn: the only edge that goes back."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Event, Id, Int, Model, Timestamp
from schemas.request import RequestSubmitted
from schemas.run import CallResult


class TurnRecord(Model):
    """What happened in one earlier turn: what the model wrote and how its calls ended, in the order it made them."""

    turn: Annotated[Int, Field(ge=1)]
    text: str | None = None
    calls: tuple[CallResult, ...] = ()


class TurnRequested(Event):
    """Ask the model for turn number `turn`. Carries all a planner needs, so that planners keep no state."""

    type: Literal["turn.requested"] = "turn.requested"
    correlation_id: Id
    turn: Annotated[Int, Field(ge=2)]
    request: RequestSubmitted
    submitted_at: Timestamp
    deadline_at: Timestamp
    history: tuple[TurnRecord, ...]
