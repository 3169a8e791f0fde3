"""A run as the table holds it: its rows in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from schemas.events import Row
from schemas.failure import Failure, FailureCode
from schemas.rows import CallRow, FinishedRow, RunRow
from schemas.run import CallResult, CallStatus
from schemas.tool_call import ToolCallFailed, ToolCallSucceeded, ToolCallTimedOut

NO_CALLS: Mapping[str, CallRow] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run without a response yet. `calls` maps call id to row, in the order they became known."""

    row: RunRow
    calls: Mapping[str, CallRow] = field(default_factory=lambda: NO_CALLS)

    @property
    def last_at(self) -> datetime:
        """Latest broker time of anything that was applied to the run."""
        outcomes = (call.outcome_at for call in self.calls.values() if call.outcome_at is not None)
        return max((self.row.last_at, *outcomes))

    def planned_calls(self, turn: int) -> list[CallRow]:
        """Rows of the calls of turn `turn` (from 1), in the order the model made them."""
        return [self.calls[name] for name in self.row.turns[turn - 1].call_ids]


Run = OpenRun | FinishedRow
"""What the table holds for a correlation id."""


def row_key(correlation_id: str, call_id: str | None = None) -> str:
    """Key of a row in the changelog: the correlation id, for a call's row with the call id behind a line feed.

    Neither id can contain a line feed, so no key means two rows.
    """
    return correlation_id if call_id is None else f"{correlation_id}\n{call_id}"


def changed_rows(before: Run | None, after: Run) -> Iterator[tuple[str, Row | None]]:
    """Yield key and row of all that differs, None for a row that is gone.

    Rows are compared by identity, which is what makes this cheap: an unchanged row is the same object.
    """
    if after is before:
        return
    old_calls = before.calls if isinstance(before, OpenRun) else NO_CALLS
    if isinstance(after, FinishedRow):
        yield row_key(after.correlation_id), after
        for call_id in old_calls:
            yield row_key(after.correlation_id, call_id), None
        return
    if not isinstance(before, OpenRun) or before.row is not after.row:
        yield row_key(after.row.correlation_id), after.row
    for call_id, row in after.calls.items():
        if old_calls.get(call_id) is not row:
            yield row_key(row.correlation_id, call_id), row


def rows_of(runs: Mapping[str, Run]) -> dict[str, Row]:
    """Take runs apart into rows by key: what a changelog that was compacted to the last record would hold."""
    rows: dict[str, Row] = {}
    for name, run in runs.items():
        if isinstance(run, FinishedRow):
            rows[row_key(name)] = run
            continue
        rows[row_key(name)] = run.row
        rows.update({row_key(name, call_id): row for call_id, row in run.calls.items()})
    return rows


def has_ended(call: CallRow) -> bool:
    """Tell whether nothing more is expected of the call."""
    refused = call.call is not None and call.call.error is not None
    return call.outcome is not None or call.skipped is not None or refused


def result_of(call: CallRow, unfinished: tuple[CallStatus, Failure]) -> CallResult:
    """Describe how the call ended; `unfinished` is what to say of one that did not."""
    status, error = _ending_of(call, unfinished)
    outcome = call.outcome
    return CallResult(
        call_id=call.call_id,
        turn=call.turn,
        tool=call.call.tool if call.call else outcome.tool if outcome else None,
        arguments=call.call.arguments if call.call else None,
        status=status,
        result=outcome.result if isinstance(outcome, ToolCallSucceeded) else None,
        error=error,
        attempts=outcome.attempts if outcome else 0,
        cached=isinstance(outcome, ToolCallSucceeded) and outcome.cached,
        started_at=outcome.started_at if outcome else None,
        duration_ms=outcome.duration_ms if outcome else None,
    )


def _ending_of(call: CallRow, unfinished: tuple[CallStatus, Failure]) -> tuple[CallStatus, Failure | None]:
    if call.call is None:
        return "superseded", None
    if call.call.error is not None:
        return "failed", call.call.error
    if call.skipped is not None:
        return "skipped", call.skipped
    match call.outcome:
        case None:
            return unfinished
        case ToolCallSucceeded():
            return "succeeded", None
        case ToolCallTimedOut(error=error):
            return "timed_out", error
        case ToolCallFailed(error=Failure(code=FailureCode.CANCELLED) as error):
            return "cancelled", error
        case ToolCallFailed(error=error):
            return "failed", error
