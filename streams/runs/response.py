"""The response of a run, built from its state and nothing else: the same state gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from schemas.base import milliseconds_between
from schemas.failure import Failure, FailureCode
from schemas.rows import Ending
from schemas.run import CallResult, CallStatus, RunFinished, RunStatus
from schemas.submission import Rejection
from streams.runs.run import OpenRun, result_of

MAX_RESULTS_BYTES = 1024 * 1024
"""How much JSON of results a response holds. With an answer and metadata of 1 MiB each it still fits into a record."""

UNFINISHED: dict[Ending, tuple[CallStatus, Failure]] = {
    "cancelled": ("cancelled", Failure(code=FailureCode.CANCELLED, message="the run was cancelled before it ended")),
    "deadline": (
        "timed_out",
        Failure(code=FailureCode.DEADLINE_EXCEEDED, message="the run's deadline came before it ended"),
    ),
    "plan_failed": ("cancelled", Failure(code=FailureCode.CANCELLED, message="the run ended before it did")),
}
"""What to say of a call without outcome, by how the run ended."""


def response(run: OpenRun) -> RunFinished:
    """Build the response of a run that has ended. Its request must have been read."""
    row = run.row
    if row.request is None or row.submitted_at is None:
        message = f"run {row.correlation_id} cannot end before its request is read"
        raise AssertionError(message)
    results = _results(run)
    status, error = _verdict(run, results)
    finished_at = run.last_at
    return RunFinished(
        correlation_id=row.correlation_id,
        status=status,
        answer=_answer(run),
        results=tuple(bounded_results(results, MAX_RESULTS_BYTES)),
        error=error,
        turns=len(row.turns),
        usage=row.usage,
        submitted_at=row.submitted_at,
        finished_at=finished_at,
        duration_ms=milliseconds_between(row.submitted_at, finished_at),
        user_id=row.request.user_id,
        tenant=row.request.tenant,
        metadata=row.request.metadata,
    )


def rejection_response(rejection: Rejection) -> RunFinished:
    """Build the response to a request that cannot be run."""
    return RunFinished(
        correlation_id=rejection.correlation_id,
        status="rejected",
        error=rejection.error,
        submitted_at=rejection.submitted_at,
        finished_at=rejection.submitted_at,
        duration_ms=0.0,
    )


def bounded_results(results: Sequence[CallResult], limit: int) -> list[CallResult]:
    """Return the results with the largest replaced by an error until all together fit into `limit` bytes of JSON."""
    sizes = [_size_of(result) for result in results]
    bounded, total = list(results), sum(sizes)
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        if total <= limit:
            break
        message = f"the result ({sizes[index]:,} bytes) does not fit: all results of a run share {limit:,} bytes"
        error = Failure(code=FailureCode.RESULT_TOO_LARGE, message=message)
        bounded[index] = results[index].model_copy(update={"result": None, "arguments": None, "error": error})
        total -= sizes[index] - _size_of(bounded[index])
    return bounded


def excerpt(result: CallResult, limit: int) -> CallResult:
    """Return the result with what is beyond `limit` bytes of its JSON cut off; what is left is text and says so."""
    written = orjson.dumps(result.result)
    if len(written) <= limit:
        return result
    kept = written[:limit].decode(errors="ignore")
    return result.model_copy(update={"result": f"{kept} ... (cut: {len(written):,} bytes in all)"})


def _size_of(result: CallResult) -> int:
    """Bytes of JSON."""
    return len(orjson.dumps(result.model_dump()))


def _results(run: OpenRun) -> list[CallResult]:
    """Results in the order the model made the calls, then orphans in the order of their ids."""
    unfinished = UNFINISHED[run.row.ending or "deadline"]
    planned = [call_id for turn in run.row.turns for call_id in turn.call_ids]
    orphans = sorted(run.calls.keys() - set(planned))
    return [result_of(run.calls[call_id], unfinished) for call_id in (*planned, *orphans)]


def _answer(run: OpenRun) -> str | None:
    """Return the text of a plan without calls: the model had nothing more to ask for."""
    last = run.row.turns[-1] if run.row.turns else None
    return last.text if last is not None and not last.call_ids else None


def _verdict(run: OpenRun, results: Sequence[CallResult]) -> tuple[RunStatus, Failure | None]:
    judged = [result for result in results if result.status != "superseded"]
    succeeded = any(result.status == "succeeded" for result in judged)
    match run.row.ending:
        case "cancelled":
            return "cancelled", run.row.error
        case "deadline":
            return ("partial" if succeeded else "timed_out"), run.row.error
        case "plan_failed":
            return ("partial" if succeeded else "failed"), run.row.error
        case None:
            return _verdict_of_end(run, judged, succeeded=succeeded)


def _verdict_of_end(
    run: OpenRun, results: Sequence[CallResult], *, succeeded: bool
) -> tuple[RunStatus, Failure | None]:
    wants_answer = run.row.request is not None and run.row.request.mode == "answer"
    answered = bool(run.row.turns) and not run.row.turns[-1].call_ids
    if wants_answer and answered and not run.row.turns[-1].text:
        error = Failure(code=FailureCode.MODEL_FAILED, message="the model gave neither calls nor an answer")
        return ("partial" if succeeded else "failed"), error
    if wants_answer and not answered:
        message = f"the model still called tools after {len(run.row.turns)} turns: raise max_turns or narrow the prompt"
        error = Failure(code=FailureCode.MAX_TURNS_REACHED, message=message)
        return ("partial" if succeeded else "failed"), error
    fault = next((result.error for result in results if result.status != "succeeded"), None)
    if fault is None:
        return "completed", None
    if succeeded or answered:
        return "partial", fault
    # The worker may notice that time is up just before the deadline is read: the response says the same.
    return ("timed_out" if fault.code is FailureCode.DEADLINE_EXCEEDED else "failed"), fault
