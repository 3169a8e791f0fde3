"""Facts about a run that come from outside its plan: someone cancels or approves, or time is up."""

from __future__ import annotations

from typing import Literal

from schemas.base import Bool, Event, Id, Timestamp


class CancelRequested(Event):
    """Someone wants the run to end now."""

    type: Literal["cancel.requested"] = "cancel.requested"
    correlation_id: Id
    reason: str | None = None


class ApprovalGiven(Event):
    """A person decided about a call that waits for approval."""

    type: Literal["approval.given"] = "approval.given"
    correlation_id: Id
    call_id: Id
    approved: Bool
    by: str | None = None


class DeadlineReached(Event):
    """The run's time is up: whatever has not finished will not count."""

    type: Literal["deadline.reached"] = "deadline.reached"
    correlation_id: Id
    deadline_at: Timestamp
