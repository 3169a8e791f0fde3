"""What follows from a run's state: calls to publish, a next turn, or the end. Pure.

Nothing follows before the request has been read, because only the request says how.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from schemas.rows import FinishedRow
from schemas.run import RunCancelled
from schemas.turn import TurnRecord, TurnRequested
from streams.runs.commands import Command, DispatchCall, RequestTurn, Respond, StopCalls
from streams.runs.dependencies import as_if_published, is_ready, skip_unreachable, with_results
from streams.runs.response import UNFINISHED, bounded_results, excerpt, response
from streams.runs.run import OpenRun, Run, has_ended, result_of

MAX_EXCERPT_BYTES = 32 * 1024
"""How much JSON of one result a model is shown. The response has all of it."""

MAX_HISTORY_BYTES = 1024 * 1024
"""How much JSON of earlier results goes to the next turn. What is beyond is replaced by a note for the model."""


def advance(run: OpenRun) -> tuple[Run, tuple[Command, ...]]:
    """Return the run and the commands that its state calls for."""
    if len(run.row.turns) == run.row.turn:
        run = skip_unreachable(run)
    if run.row.request is None:
        return _settled(run), ()
    run = _as_if_request_came_first(run)
    if run.row.ending is not None:
        return _finish(as_if_published(run))
    if len(run.row.turns) < run.row.turn:
        return run, ()  # the planner has this turn
    run, dispatches = _dispatch_waiting(run)
    if not _is_turn_over(run):
        return run, dispatches
    run = as_if_published(run)
    if _is_last_turn(run):
        return _finish(run)
    return _next_turn(run)


def _settled(run: OpenRun) -> OpenRun:
    """Note when the first turn is over before the request was read: if it is the last, nothing later may count."""
    row = run.row
    if row.settled_at is not None or row.ending is not None or not row.turns or not _is_turn_over(run):
        return run
    return replace(run, row=row.model_copy(update={"settled_at": run.last_at}))


def _as_if_request_came_first(run: OpenRun) -> OpenRun:
    """Forget what came behind the run's end when only the request, read after it, can tell that it was the end.

    Requests and run events are two topics: in which order they are read is chance, and must not change the response.
    """
    row = run.row
    if row.settled_at is None or row.submitted_at is None:
        return run
    if not _is_last_turn(run):
        return replace(run, row=row.model_copy(update={"settled_at": None}))
    ended_at = max(row.settled_at, row.submitted_at)
    update = {"settled_at": None, "ending": None, "error": None, "last_at": ended_at}
    in_time = {call_id: call for call_id, call in run.calls.items() if not call.late}
    return OpenRun(row.model_copy(update=update), MappingProxyType(in_time))


def _is_turn_over(run: OpenRun) -> bool:
    return all(has_ended(call) for call in run.planned_calls(run.row.turn))


def _dispatch_waiting(run: OpenRun) -> tuple[OpenRun, tuple[Command, ...]]:
    """Publish the calls that the planner has not, once they need nothing more.

    Their plan is committed, or about to be in the same transaction.
    """
    turn = run.row.turn
    ready = [call for call in run.planned_calls(turn) if is_ready(call, run.calls)]
    if not ready:
        return run, ()
    calls, commands = dict(run.calls), []
    for row in ready:
        if row.call is not None:  # told to the type checker again: only planned calls are ready
            published = with_results(row.call, run.calls).model_copy(update={"dispatched": True})
            calls[row.call_id] = row.model_copy(update={"call": published})
            commands.append(DispatchCall(row.correlation_id, turn, published))
    return replace(run, calls=MappingProxyType(calls)), tuple(commands)


def _is_last_turn(run: OpenRun) -> bool:
    request = run.row.request
    if request is None or request.mode == "results" or run.row.turn >= request.max_turns:
        return True
    return not run.row.turns[-1].call_ids  # a plan without calls is the answer


def _next_turn(run: OpenRun) -> tuple[OpenRun, tuple[Command, ...]]:
    row = run.row.model_copy(update={"turn": run.row.turn + 1})
    if row.request is None or row.submitted_at is None or row.deadline_at is None:
        return run, ()  # unreachable: nothing advances before the request is read
    requested = TurnRequested(
        correlation_id=row.correlation_id,
        turn=row.turn,
        request=row.request,
        submitted_at=row.submitted_at,
        deadline_at=row.deadline_at,
        history=_history(run),
    )
    return replace(run, row=row), (RequestTurn(requested),)


def _history(run: OpenRun) -> tuple[TurnRecord, ...]:
    by_turn = [
        [excerpt(result_of(call, UNFINISHED["deadline"]), MAX_EXCERPT_BYTES) for call in run.planned_calls(turn)]
        for turn in range(1, len(run.row.turns) + 1)
    ]
    flat = bounded_results([result for results in by_turn for result in results], MAX_HISTORY_BYTES)
    rest = iter(flat)
    return tuple(
        TurnRecord(turn=number, text=row.text, calls=tuple(next(rest) for _ in row.call_ids))
        for number, row in enumerate(run.row.turns, start=1)
    )


def _finish(run: OpenRun) -> tuple[FinishedRow, tuple[Command, ...]]:
    answer = response(run)
    row = FinishedRow(correlation_id=run.row.correlation_id, status=answer.status, finished_at=answer.finished_at)
    if answer.status == "cancelled":
        return row, (Respond(answer), StopCalls(RunCancelled(correlation_id=row.correlation_id)))
    return row, (Respond(answer),)
