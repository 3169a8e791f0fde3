"""Calls that need other calls' results: when they can be published, with what, and when they never can. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import orjson

from schemas.failure import Failure, FailureCode
from schemas.plan import PlannedCall
from schemas.reference import PathMissing, Reference, replaced, value_at
from schemas.rows import CallRow
from schemas.tool_call import ToolCallSucceeded
from streams.runs.run import OpenRun, has_ended

MAX_ARGUMENTS_BYTES = 512 * 1024
"""Size of the largest arguments with results put in, in bytes of JSON: the call has to fit into a record."""


def is_ready(call: CallRow, calls: Mapping[str, CallRow]) -> bool:
    """Tell whether a planned call waits for nothing but to be published."""
    planned = call.call
    if planned is None or planned.dispatched or has_ended(call):
        return False
    return all(_succeeded(calls.get(needed)) is not None for needed in planned.needs)


def with_results(planned: PlannedCall, calls: Mapping[str, CallRow]) -> PlannedCall:
    """Put the results that a ready call refers to into its arguments."""
    if not planned.needs:
        return planned

    def result_of(reference: Reference) -> object:
        outcome = _succeeded(calls.get(reference.call))
        return value_at(outcome.result, reference) if outcome is not None else None

    return planned.model_copy(update={"arguments": replaced(planned.arguments, result_of)})


def as_if_published(run: OpenRun) -> OpenRun:
    """Put results into the calls of the current turn that had them to be published with, for telling of the turn.

    Who read the request in time has published them; who reads it last, when all is over, must say the same.
    """
    calls = {
        call.call_id: call.model_copy(update={"call": with_results(call.call, run.calls)})
        for call in (run.planned_calls(run.row.turn) if len(run.row.turns) == run.row.turn else ())
        if call.call is not None and _is_publishable(call, call.call, run.calls)
    }
    return replace(run, calls=MappingProxyType({**run.calls, **calls})) if calls else run


def _is_publishable(call: CallRow, planned: PlannedCall, calls: Mapping[str, CallRow]) -> bool:
    """Tell whether a call waits, or waited, with all it needs. One that was published has its results already."""
    if not planned.needs or planned.dispatched or planned.error is not None or call.skipped is not None:
        return False
    needed = (_succeeded(calls.get(name)) for name in planned.needs)
    return all(outcome is not None for outcome in needed) and _why_not_with(planned, calls) is None


def skip_unreachable(run: OpenRun) -> OpenRun:
    """Mark the calls of the current turn that can never run, those that need them included."""
    pending = [call.call_id for call in run.planned_calls(run.row.turn) if call.call is not None and call.call.needs]
    calls, changed = dict(run.calls), bool(pending)
    while changed:
        changed = False
        for call_id in pending:
            call = calls[call_id]
            reason = None if has_ended(call) else _why_never(call, calls)
            if reason is not None:
                error = Failure(code=FailureCode.DEPENDENCY_FAILED, message=reason)
                calls[call_id] = call.model_copy(update={"skipped": error})
                changed = True
    return replace(run, calls=MappingProxyType(calls)) if pending and calls != run.calls else run


def _why_never(call: CallRow, calls: Mapping[str, CallRow]) -> str | None:
    planned = call.call
    if planned is None or not planned.needs:
        return None
    for needed in planned.needs:
        other = calls.get(needed)
        if other is None:
            return f"it needs the call {needed}, which is not known"
        if has_ended(other) and _succeeded(other) is None:
            tool = other.call.tool if other.call is not None else "a call"
            return f"it needs the result of {tool} ({needed}), which did not succeed"
    if all(_succeeded(calls.get(needed)) is not None for needed in planned.needs):
        return _why_not_with(planned, calls)
    return None


def _why_not_with(planned: PlannedCall, calls: Mapping[str, CallRow]) -> str | None:
    """Say why the results, now that all are there, do not make arguments."""
    try:
        size = len(orjson.dumps(with_results(planned, calls).arguments))
    except PathMissing as error:
        return str(error)
    limit = MAX_ARGUMENTS_BYTES
    return f"with the results its arguments are {size:,} bytes, the limit is {limit:,}" if size > limit else None


def _succeeded(call: CallRow | None) -> ToolCallSucceeded | None:
    outcome = call.outcome if call is not None else None
    return outcome if isinstance(outcome, ToolCallSucceeded) else None
