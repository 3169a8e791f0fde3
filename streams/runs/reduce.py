"""The reducer: how one event changes a run. Pure, and the only place where run state changes.

    reduce(run, event, at) -> Transition(run, commands)

Order does not matter where it need not: a row may be opened by the request or by any run event, an outcome may come
before the plan that names its call. Where it must matter the first fact wins: the first request, the first plan of a
turn, the first outcome of a call. An event that changes nothing returns the very run it was given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias, assert_never

from schemas.control import ApprovalGiven, CancelRequested, DeadlineReached
from schemas.events import RunEvent
from schemas.failure import Failure, FailureCode
from schemas.plan import MAX_CALLS, PlanCreated, PlanFailed
from schemas.rows import CallRow, Ending, FinishedRow, RunRow, TurnRow
from schemas.submission import Rejection, Submission
from schemas.tool_call import Outcome, ToolCallFailed, ToolCallSucceeded, ToolCallTimedOut
from streams.runs.advance import advance
from streams.runs.commands import Command, Respond
from streams.runs.response import rejection_response
from streams.runs.run import OpenRun, Run, has_ended

MAX_ASIDE_BYTES = 8 * 1024
"""How much of the text is kept that a model writes beside its calls: the rows of up to 100 turns share one record."""

MAX_ORPHANS = 1000
"""How many outcomes are kept of calls that no plan names (yet). The calls of a plan that lost are far fewer."""

DEADLINE_ERROR = Failure(code=FailureCode.DEADLINE_EXCEEDED, message="the deadline came before the run was finished")

Fact: TypeAlias = Submission | Rejection | RunEvent
"""Everything a run is folded from."""


@dataclass(frozen=True, slots=True)
class Transition:
    """What one event did: the run after it and what to write."""

    run: Run
    commands: tuple[Command, ...] = ()


def reduce(run: Run | None, event: Fact, at: datetime) -> Transition:
    """Apply `event`, appended at broker time `at`, to `run` (None: never heard of)."""
    if isinstance(run, FinishedRow):
        return Transition(run)
    if isinstance(event, Rejection):
        return _rejected(run, event)
    if run is not None and run.row.ending is not None and not isinstance(event, Submission):
        return Transition(run)  # it has ended and waits only for its request to be read
    before = run or OpenRun(RunRow(correlation_id=event.correlation_id, last_at=at))
    after = _applied(before, event, at)
    if after is before and run is not None:
        return Transition(run)
    if after.row is not before.row:
        after = replace(after, row=_at(after.row, at))
    advanced, commands = advance(after)
    return Transition(advanced, commands)


def _rejected(run: OpenRun | None, event: Rejection) -> Transition:
    """Answer a request that cannot be run. One whose id already names an open run changes nothing."""
    if run is not None and run.row.request is not None:
        return Transition(run)
    response = rejection_response(event)
    row = FinishedRow(correlation_id=event.correlation_id, status="rejected", finished_at=response.finished_at)
    return Transition(row, (Respond(response),))


def _applied(run: OpenRun, event: Submission | RunEvent, at: datetime) -> OpenRun:
    match event:
        case Submission():
            return _submitted(run, event)
        case PlanCreated():
            return _planned(run, event)
        case PlanFailed():
            return _plan_failed(run, event)
        case ToolCallSucceeded() | ToolCallFailed() | ToolCallTimedOut():
            return _outcome(run, event, at)
        case CancelRequested():
            message = event.reason or "someone asked for it"
            return _ending(run, "cancelled", Failure(code=FailureCode.CANCELLED, message=message))
        case DeadlineReached():
            # The clock of whoever wrote it may be ahead: only the broker's decides. It is written again in time.
            return run if at < event.deadline_at else _ending(run, "deadline", DEADLINE_ERROR)
        case ApprovalGiven():
            return run  # no tool can ask for approval yet, so nothing waits for one
        case _:
            assert_never(event)


def _submitted(run: OpenRun, event: Submission) -> OpenRun:
    if run.row.request is not None:
        return run
    update = {
        "request": event.request,
        "submitted_at": event.submitted_at,
        "deadline_at": event.deadline_at,
        "traceparent": event.traceparent,
    }
    return replace(run, row=run.row.model_copy(update=update))


def _planned(run: OpenRun, event: PlanCreated) -> OpenRun:
    if not _is_current(run, event.turn):
        return run
    if len(event.calls) + sum(len(turn.call_ids) for turn in run.row.turns) > MAX_CALLS:
        message = f"the model made more than {MAX_CALLS:,} calls in one run: narrow the prompt"
        return _ending(run, "plan_failed", Failure(code=FailureCode.MODEL_FAILED, message=message))
    text = _aside(event.text) if event.calls else event.text
    planned = TurnRow(text=text, call_ids=tuple(call.call_id for call in event.calls))
    row = run.row.model_copy(update={"turns": (*run.row.turns, planned), "usage": run.row.usage + event.usage})
    calls = dict(run.calls)
    for call in event.calls:
        known = calls.get(call.call_id)
        calls[call.call_id] = CallRow(
            correlation_id=event.correlation_id,
            call_id=call.call_id,
            turn=event.turn,
            call=call,
            outcome=known.outcome if known else None,
            outcome_at=known.outcome_at if known else None,
        )
    return OpenRun(row, MappingProxyType(calls))


def _aside(text: str | None) -> str | None:
    return (text or "").encode()[:MAX_ASIDE_BYTES].decode(errors="ignore") or None


def _plan_failed(run: OpenRun, event: PlanFailed) -> OpenRun:
    if not _is_current(run, event.turn):
        return run
    # A planner that ran out of time says the same as the deadline, which is about to come: so does the response.
    ending: Ending = "deadline" if event.error.code is FailureCode.DEADLINE_EXCEEDED else "plan_failed"
    ended = _ending(run, ending, event.error)
    return replace(ended, row=ended.row.model_copy(update={"usage": run.row.usage + event.usage}))


def _outcome(run: OpenRun, event: Outcome, at: datetime) -> OpenRun:
    known = run.calls.get(event.call_id)
    if known is not None and has_ended(known):
        return run
    if known is None and len(run.calls) >= MAX_CALLS + MAX_ORPHANS:
        return run
    late = run.row.settled_at is not None
    row = known or CallRow(correlation_id=event.correlation_id, call_id=event.call_id, late=late)
    calls = {**run.calls, event.call_id: row.model_copy(update={"outcome": event, "outcome_at": at})}
    return replace(run, calls=MappingProxyType(calls))


def _ending(run: OpenRun, ending: Ending, error: Failure) -> OpenRun:
    if run.row.ending is not None:
        return run
    return replace(run, row=run.row.model_copy(update={"ending": ending, "error": error}))


def _is_current(run: OpenRun, turn: int) -> bool:
    """Tell whether a plan for `turn` is the one being waited for: the first plan of a turn wins."""
    return turn == run.row.turn and len(run.row.turns) == turn - 1


def _at(row: RunRow, at: datetime) -> RunRow:
    return row if at <= row.last_at else row.model_copy(update={"last_at": at})
