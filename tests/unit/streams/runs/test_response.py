"""Promises of the response beyond the stories of test_reduce: order, bounds, what a call without outcome is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.failure import MAX_MESSAGE_CHARACTERS, Failure, FailureCode
from schemas.rows import Ending, RunRow
from schemas.run import CallResult, CallStatus
from streams.runs.advance import MAX_EXCERPT_BYTES
from streams.runs.response import MAX_RESULTS_BYTES, UNFINISHED, bounded_results, response
from streams.runs.run import OpenRun, result_of
from tests.support.facts import RUN, START, answered, failed, planned, results_only, submitted, succeeded, tell


def result(name: str, characters: int, status: CallStatus = "succeeded") -> CallResult:
    """A result whose JSON is about so many bytes."""
    return CallResult(call_id=name, turn=1, tool="t", arguments={}, status=status, result="x" * characters)


def test_results_that_fit_are_left_alone() -> None:
    """Nothing is cut without need."""
    results = [result("a", 10), result("b", 20)]
    assert bounded_results(results, 1_000) == results


def test_the_largest_result_is_left_out_first_and_says_so() -> None:
    """The small ones are kept, the order stays, and nobody takes the gap for a null result."""
    bounded = bounded_results([result("a", 100), result("b", 5_000), result("c", 100)], 2_000)
    assert [one.result is None for one in bounded] == [False, True, False]
    assert [one.call_id for one in bounded] == ["a", "b", "c"]
    assert bounded[1].error is not None
    assert bounded[1].error.code == FailureCode.RESULT_TOO_LARGE
    assert "5,1" in bounded[1].error.message
    assert bounded[1].status == "succeeded"


def test_of_equal_results_the_earliest_is_left_out() -> None:
    """The choice is a function of the state, as everything in a response."""
    bounded = bounded_results([result("a", 600), result("b", 600)], 1_300)
    assert [one.result is None for one in bounded] == [True, False]


@given(st.lists(st.integers(0, 400), max_size=12), st.integers(0, 2_000))
def test_what_is_left_fits(sizes: list[int], limit: int) -> None:
    """Whatever the results are, those that stay share the limit."""
    bounded = bounded_results([result(str(number), size) for number, size in enumerate(sizes)], limit)
    assert len(bounded) == len(sizes)
    assert sum(len(one.result or "") for one in bounded) <= limit


def test_long_error_messages_count_like_results() -> None:
    """A worker in another language may fail at length: the response still has to fit into a record."""
    names = [f"call-{number}" for number in range(1_000)]
    story = tell(results_only(), planned(*names), *(failed(name, "é" * 100_000) for name in names))
    assert len(encode(story.response)) < 2 * MAX_RESULTS_BYTES
    assert story.response.error is not None
    assert len(story.response.error.message) == MAX_MESSAGE_CHARACTERS


def test_a_response_with_large_results_stays_bounded() -> None:
    """Ten results of a quarter of a megabyte do not make a response that no topic takes."""
    names = [f"call-{number}" for number in range(10)]
    story = tell(results_only(), planned(*names), *(succeeded(name, "x" * 250_000) for name in names))
    assert len(encode(story.response)) < MAX_RESULTS_BYTES + 100_000
    assert story.response.status == "completed"
    assert sum(one.result is not None for one in story.response.results) == 4


@pytest.mark.parametrize(
    ("ending", "status"), [("cancelled", "cancelled"), ("deadline", "timed_out"), ("plan_failed", "cancelled")]
)
def test_a_call_without_outcome_is_called_by_what_ended_the_run(ending: Ending, status: str) -> None:
    """Cancelled with the run, or out of time."""
    call = tell(submitted(), planned("a")).open.calls["a"]
    unfinished = result_of(call, UNFINISHED[ending])
    assert unfinished.status == status
    assert unfinished.error is not None
    assert (unfinished.attempts, unfinished.started_at, unfinished.duration_ms) == (0, None, None)


def test_a_run_without_its_request_has_no_response() -> None:
    """Nobody knows what to echo: the reducer never asks for one, and is told if it did."""
    with pytest.raises(AssertionError, match="before its request is read"):
        response(OpenRun(RunRow(correlation_id=RUN, last_at=START)))


def test_a_failure_message_is_cut_when_it_is_read() -> None:
    """Messages travel in rows, turns and responses, and are written by foreign workers."""
    whole = Failure(code=FailureCode.TOOL_FAILED, message="x" * MAX_MESSAGE_CHARACTERS)
    cut = Failure(code=FailureCode.TOOL_FAILED, message="x" * (MAX_MESSAGE_CHARACTERS + 1))
    assert whole.message == "x" * MAX_MESSAGE_CHARACTERS
    assert len(cut.message) == MAX_MESSAGE_CHARACTERS
    assert cut.message.endswith("x…")


def test_a_model_is_shown_the_beginning_of_a_large_result_and_the_response_has_all_of_it() -> None:
    """A context is dear and bounded; what was cut is said, so that the model can ask for less."""
    large = {"text": "é" * 40_000}
    story = tell(submitted(), planned("a", "b"), succeeded("a", large), succeeded("b", "small"), answered("done"))
    (turn,) = story.turns
    shown, small = turn.history[0].calls
    assert isinstance(shown.result, str)
    assert len(shown.result.encode()) < MAX_EXCERPT_BYTES + 100
    assert shown.result.endswith("... (cut: 80,011 bytes in all)")
    assert small.result == "small"
    assert story.response.results[0].result == large
