"""What a transition asks the table to write beside its rows: a closed union."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from schemas.plan import PlannedCall
from schemas.run import RunCancelled, RunFinished
from schemas.turn import TurnRequested


@dataclass(frozen=True, slots=True)
class DispatchCall:
    """Publish a call that had to wait for its plan to be committed."""

    correlation_id: str
    turn: int
    call: PlannedCall


@dataclass(frozen=True, slots=True)
class RequestTurn:
    """Ask a planner for the next turn."""

    turn: TurnRequested


@dataclass(frozen=True, slots=True)
class Respond:
    """Emit the response."""

    response: RunFinished


@dataclass(frozen=True, slots=True)
class StopCalls:
    """Tell every process that the run was cancelled: what it still does for it is in vain."""

    cancelled: RunCancelled


Command: TypeAlias = DispatchCall | RequestTurn | Respond | StopCalls
