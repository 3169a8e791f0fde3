"""Rows of the runs table, as they lie in its changelog.

An open run is one `row.run` and one `row.call` per call, so that a batch writes what changed and not the whole run. A
finished run is one small `row.finished`, so that late or repeated records find it and change nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Bool, Event, Id, Int, Timestamp
from schemas.failure import Failure
from schemas.plan import PlannedCall
from schemas.request import RequestSubmitted
from schemas.run import RunStatus, Usage
from schemas.tool_call import ToolCallFailed, ToolCallSucceeded, ToolCallTimedOut

Ending = Literal["cancelled", "deadline", "plan_failed"]
"""Why a run ends other than by an answer."""


class TurnRow(Event):
    """One planned turn: what the model wrote and the ids of its calls, in the order it made them."""

    text: str | None = None
    call_ids: tuple[Id, ...] = ()


class RunRow(Event):
    """An open run.

    Opened by its request or by the first run event, whichever is read first; `request` is None until the request is.
    `turn` is the turn being planned or run, `turns[i]` the plan of turn i + 1. `last_at` is the latest broker time of
    anything applied to this row; outcomes have their own, so that they do not rewrite it. `settled_at`: when the first
    turn was over although the request was still unread.
    """

    type: Literal["row.run"] = "row.run"
    correlation_id: Id
    request: RequestSubmitted | None = None
    submitted_at: Timestamp | None = None
    deadline_at: Timestamp | None = None
    traceparent: str | None = None
    turn: Annotated[Int, Field(ge=1)] = 1
    turns: tuple[TurnRow, ...] = ()
    usage: Usage = Usage()
    ending: Ending | None = None
    error: Failure | None = None
    last_at: Timestamp
    settled_at: Timestamp | None = None


class CallRow(Event):
    """A call of an open run: what the plan says of it and how it ended.

    `call` and `turn` are None while only the outcome is known (the worker was faster than the plan); when the run ends
    so, the plan that made the call lost and the call is an orphan. `outcome_at` is the broker time of the outcome.
    `skipped` is why it will never run: a call it needs did not succeed.
    `late`: it came after the run's `settled_at`, and counts only if the request, once read, lets the run go on.
    """

    type: Literal["row.call"] = "row.call"
    correlation_id: Id
    call_id: Id
    turn: Annotated[Int, Field(ge=1)] | None = None
    call: PlannedCall | None = None
    outcome: Annotated[ToolCallSucceeded | ToolCallFailed | ToolCallTimedOut, Field(discriminator="type")] | None = None
    outcome_at: Timestamp | None = None
    skipped: Failure | None = None
    late: Bool = False


class FinishedRow(Event):
    """What stays of a run after its response."""

    type: Literal["row.finished"] = "row.finished"
    correlation_id: Id
    status: RunStatus
    finished_at: Timestamp
