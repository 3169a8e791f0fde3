"""A turn to plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas.request import RequestSubmitted
from schemas.tool_call import ReplyTo
from schemas.turn import TurnRecord


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn to plan: the request, which turn it is (from 1), what came before, and where its run lives."""

    correlation_id: str
    turn: int
    request: RequestSubmitted
    deadline_at: datetime
    reply_to: ReplyTo
    history: tuple[TurnRecord, ...] = ()
    traceparent: str | None = None
