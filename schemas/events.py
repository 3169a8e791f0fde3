"""Every event of the wire contract, by topic, as closed unions with their codecs."""

from __future__ import annotations

from typing import TypeAlias

from schemas.audit import AuditRecorded
from schemas.base import Event
from schemas.codec import Codec
from schemas.control import ApprovalGiven, CancelRequested, DeadlineReached
from schemas.plan import PlanCreated, PlanFailed
from schemas.progress import LlmDelta, ToolCallStarted
from schemas.request import RequestSubmitted
from schemas.rows import CallRow, FinishedRow, RunRow
from schemas.run import RunCancelled, RunFinished
from schemas.tool_call import Outcome, ToolCallFailed, ToolCallRequested, ToolCallSucceeded, ToolCallTimedOut
from schemas.turn import TurnRequested

RunEvent: TypeAlias = PlanCreated | PlanFailed | Outcome | CancelRequested | ApprovalGiven | DeadlineReached
"""Everything that can change a run after its request: the facts on `run-events`."""

Row: TypeAlias = RunRow | CallRow | FinishedRow

REQUESTS: Codec[RequestSubmitted] = Codec(RequestSubmitted, default=RequestSubmitted)
TURNS: Codec[TurnRequested] = Codec(TurnRequested)
TOOL_CALLS: Codec[ToolCallRequested] = Codec(ToolCallRequested)
RUN_EVENTS: Codec[RunEvent] = Codec(
    PlanCreated,
    PlanFailed,
    ToolCallSucceeded,
    ToolCallFailed,
    ToolCallTimedOut,
    CancelRequested,
    ApprovalGiven,
    DeadlineReached,
)
RUN_PROGRESS: Codec[LlmDelta | ToolCallStarted] = Codec(LlmDelta, ToolCallStarted)
CANCELLATIONS: Codec[RunCancelled] = Codec(RunCancelled)
RUNS_CHANGELOG: Codec[Row] = Codec(RunRow, CallRow, FinishedRow)
RESPONSES: Codec[RunFinished] = Codec(RunFinished)
AUDIT: Codec[AuditRecorded] = Codec(AuditRecorded)

CODECS: dict[str, Codec[Event]] = {
    "requests": REQUESTS,
    "turns": TURNS,
    "tool-calls-{tool}": TOOL_CALLS,
    "run-events": RUN_EVENTS,
    "run-progress": RUN_PROGRESS,
    "cancellations": CANCELLATIONS,
    "runs-changelog": RUNS_CHANGELOG,
    "responses": RESPONSES,
    "audit": AUDIT,
}
"""The codec of each topic of topics.yaml. `dead-letters` has none: its records are what nobody could read."""
