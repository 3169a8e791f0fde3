"""Promises of the reducer: how facts change a run, and which of them change nothing."""

from __future__ import annotations

from itertools import permutations

import pytest

from schemas.codec import encode
from schemas.control import ApprovalGiven
from schemas.failure import Failure, FailureCode
from schemas.plan import PlanFailed
from schemas.request import RequestSubmitted
from schemas.run import Usage
from schemas.tool_call import ToolCallTimedOut
from streams.runs.commands import DispatchCall, Respond
from streams.runs.reduce import MAX_ASIDE_BYTES, Fact, reduce
from streams.runs.run import OpenRun
from tests.support.facts import (
    RUN,
    START,
    answered,
    at,
    call,
    cancelled,
    deadline,
    failed,
    plan_failed,
    planned,
    rejected,
    results_only,
    submitted,
    succeeded,
    tell,
    timed_out,
)


def test_a_run_goes_from_its_request_through_calls_to_the_answer() -> None:
    """The happy path: two calls, a second turn with their results, the answer."""
    story = tell(submitted(), planned("a", "b", text="let me see"), succeeded("b", 2), succeeded("a", 1), answered("3"))
    (turn,) = story.turns
    assert (turn.turn, turn.submitted_at, turn.deadline_at) == (2, START, at(60_000))
    assert [(call.call_id, call.result) for call in turn.history[0].calls] == [("a", 1), ("b", 2)]
    assert turn.history[0].text == "let me see"
    response = story.response
    assert (response.status, response.answer, response.error, response.turns) == ("completed", "3", None, 2)
    assert [(result.call_id, result.status, result.turn) for result in response.results] == [
        ("a", "succeeded", 1),
        ("b", "succeeded", 1),
    ]
    assert response.usage == Usage(input_tokens=20, output_tokens=2)
    assert (response.submitted_at, response.finished_at, response.duration_ms) == (START, at(40), 40.0)
    assert story.finished.status == "completed"


def test_an_answer_at_once_is_one_turn_without_calls() -> None:
    """A model that needs no tool ends the run with its first plan."""
    response = tell(submitted(), answered("42", turn=1)).response
    assert (response.status, response.answer, response.turns, response.results) == ("completed", "42", 1, ())


def test_an_outcome_may_come_before_the_plan_that_names_its_call() -> None:
    """Calls run while the model still speaks, so a fast worker is read first."""
    early = tell(results_only(), succeeded("a", 1), planned("a"))
    late = tell(results_only(), planned("a"), succeeded("a", 1))
    assert encode(early.response) == encode(late.response)


def test_the_order_of_plan_request_and_outcomes_does_not_change_the_response() -> None:
    """Three writers, two topics: whoever is read first, the response has the same bytes."""
    facts: list[Fact] = [results_only(), planned("a", "b"), succeeded("a", 1), failed("b")]
    responses = {encode(tell(*order).response) for order in permutations(facts)}
    assert len(responses) == 1


def test_nothing_follows_before_the_request_is_read() -> None:
    """Only the request says how the run goes on: no call, no turn and no response without it."""
    story = tell(planned(call("a", effect="effectful"), "b"), succeeded("b"), cancelled())
    assert story.commands == []
    assert isinstance(story.run, OpenRun)


FACTS: list[Fact] = [
    submitted(),
    submitted(RequestSubmitted(prompt="another", mode="results")),
    rejected(),
    planned("a", "c"),
    planned(turn=1, text="another answer"),
    plan_failed(),
    succeeded("a", "other"),
    failed("a"),
    ApprovalGiven(correlation_id=RUN, call_id="a", approved=True),
]


@pytest.mark.parametrize("again", FACTS, ids=lambda fact: type(fact).__name__)
def test_the_first_fact_wins_and_a_repeated_one_returns_the_very_same_run(again: Fact) -> None:
    """Producers may repeat: identity tells the table that there is nothing to write."""
    run = tell(submitted(), planned("a", "b"), succeeded("a")).open
    transition = reduce(run, again, at(500))
    assert transition.run is run
    assert transition.commands == ()


@pytest.mark.parametrize("late", [*FACTS, cancelled(), deadline(), succeeded("orphan")], ids=lambda f: type(f).__name__)
def test_a_fact_after_the_end_changes_nothing(late: Fact) -> None:
    """A finished run stays finished, with one response."""
    finished = tell(results_only(), planned("a"), succeeded("a")).finished
    transition = reduce(finished, late, at(500))
    assert transition.run is finished
    assert transition.commands == ()


@pytest.mark.parametrize("turn", [2, 3])
def test_a_plan_of_a_turn_that_is_not_being_planned_is_ignored(turn: int) -> None:
    """Neither a plan for a turn to come, nor its failure, has any effect."""
    run = tell(submitted(), planned("a")).open
    assert reduce(run, planned("x", turn=turn), at(50)).run is run
    assert reduce(run, plan_failed(turn), at(50)).run is run


def test_a_plan_of_an_earlier_turn_is_ignored() -> None:
    """A planner that repeats turn 1 after a crash does not disturb turn 2."""
    run = tell(submitted(), planned("a"), succeeded("a")).open
    assert run.row.turn == 2
    assert reduce(run, planned("a"), at(50)).run is run
    assert reduce(run, plan_failed(1), at(50)).run is run


def test_an_effectful_call_is_published_by_the_transition_that_takes_its_plan() -> None:
    """The call is written in the transaction that commits the plan, neither earlier nor twice; pure ones are not."""
    story = tell(submitted(), planned("p", call("e", effect="effectful")), succeeded("p"), succeeded("e"))
    assert story.dispatched == ["e"]
    assert [type(command) for command in story.transitions[1].commands] == [DispatchCall]


def test_a_pure_call_that_its_planner_could_not_publish_is_published_with_the_plan() -> None:
    """A call that the broker did not confirm is not lost."""
    story = tell(submitted(), planned(call("p", dispatched=False)))
    assert story.dispatched == ["p"]
    (published,) = [command.call for command in story.commands if isinstance(command, DispatchCall)]
    assert published.dispatched


def test_calls_that_wait_for_the_request_are_published_when_it_is_read() -> None:
    """A plan that is read before its request waits with it."""
    story = tell(planned(call("e", effect="effectful")), submitted())
    assert story.dispatched == ["e"]
    assert len(story.transitions[1].commands) == 1


def test_a_call_that_has_its_outcome_already_is_not_published_again() -> None:
    """The plan was repeated and its call ran under the first: what is known is not done twice."""
    story = tell(submitted(), succeeded("e"), planned(call("e", effect="effectful"), "b"))
    assert story.dispatched == []


def test_a_call_that_can_never_run_is_failed_from_the_start() -> None:
    """Unknown tool or unfit arguments: others' results are kept, the run is partial and names the reason."""
    story = tell(results_only(), planned(call("bad", error="no tool named 'serch'"), "a"), succeeded("a"))
    assert story.dispatched == []
    response = story.response
    assert response.status == "partial"
    assert response.error is not None
    assert (response.error.code, response.error.message) == (FailureCode.UNKNOWN_TOOL, "no tool named 'serch'")
    assert [(result.status, result.attempts) for result in response.results] == [("failed", 0), ("succeeded", 1)]


def test_a_plan_of_calls_that_can_never_run_ends_its_turn_at_once() -> None:
    """With nothing to wait for the model is asked again, and sees why."""
    story = tell(submitted(), planned(call("bad", error="no tool named 'serch'")))
    (turn,) = story.turns
    (result,) = turn.history[0].calls
    assert result.error is not None
    assert result.error.message == "no tool named 'serch'"


def test_all_calls_failed_is_a_failed_run() -> None:
    """Failure never looks like success."""
    response = tell(results_only(), planned("a", "b"), failed("a"), timed_out("b")).response
    assert response.status == "failed"
    assert [result.status for result in response.results] == ["failed", "timed_out"]
    assert response.error is not None
    assert response.error.code == FailureCode.TOOL_FAILED


def test_an_answer_in_spite_of_failed_calls_is_partial() -> None:
    """The model answered, and the reader is told that a call behind the answer failed."""
    response = tell(submitted(), planned("a"), failed("a"), answered("sorry")).response
    assert (response.status, response.answer) == ("partial", "sorry")
    assert response.error is not None


def test_a_call_that_its_worker_cancelled_is_cancelled_and_not_failed() -> None:
    """The code of an outcome decides its status in the response."""
    response = tell(results_only(), planned("a"), failed("a", code=FailureCode.CANCELLED)).response
    assert [result.status for result in response.results] == ["cancelled"]


def test_results_mode_ends_after_one_turn() -> None:
    """Whoever wants results only is not made to wait for another model turn."""
    story = tell(results_only(), planned("a"), succeeded("a"))
    assert story.turns == []
    assert (story.response.status, story.response.answer, story.response.turns) == ("completed", None, 1)


@pytest.mark.parametrize(("outcome", "status"), [(succeeded("b"), "partial"), (failed("b"), "partial")])
def test_max_turns_ends_a_run_whose_model_will_not_answer(outcome: Fact, status: str) -> None:
    """The last allowed turn's results are the end; what succeeded in any turn is kept."""
    request = submitted(RequestSubmitted(prompt="do it", max_turns=2))
    story = tell(request, planned("a"), succeeded("a"), planned("b", turn=2), outcome)
    assert len(story.turns) == 1
    assert (story.response.status, story.response.answer, story.response.turns) == (status, None, 2)
    assert story.response.error is not None
    assert story.response.error.code == FailureCode.MAX_TURNS_REACHED


def test_max_turns_without_any_success_is_failed() -> None:
    """Nothing useful finished."""
    response = tell(submitted(RequestSubmitted(prompt="do it", max_turns=1)), planned("a"), failed("a")).response
    assert response.status == "failed"


def test_the_deadline_keeps_what_has_finished() -> None:
    """Results that came in time count, the others are timed out."""
    response = tell(submitted(), planned("a", "b"), succeeded("a"), deadline()).response
    assert response.status == "partial"
    assert [result.status for result in response.results] == ["succeeded", "timed_out"]
    assert response.error is not None
    assert response.error.code == FailureCode.DEADLINE_EXCEEDED
    assert response.finished_at == at(30)


@pytest.mark.parametrize("facts", [(), (planned("a"),), (planned("a"), failed("a"))])
def test_the_deadline_with_nothing_finished_is_timed_out(facts: tuple[Fact, ...]) -> None:
    """Without a plan, without results or with failures only: nobody takes it for a success."""
    assert tell(submitted(), *facts, deadline()).response.status == "timed_out"


def test_a_cancelled_run_ends_at_once_and_says_why() -> None:
    """Whoever cancels does not wait for calls under way, and reads the reason given."""
    response = tell(submitted(), planned("a", "b"), succeeded("a"), cancelled("changed my mind")).response
    assert response.status == "cancelled"
    assert [result.status for result in response.results] == ["succeeded", "cancelled"]
    assert response.error is not None
    assert (response.error.code, response.error.message) == (FailureCode.CANCELLED, "changed my mind")


def test_a_failed_plan_ends_the_run_and_keeps_earlier_results() -> None:
    """A model that breaks down in turn 2 does not take turn 1's results with it; in turn 1 there is nothing to keep."""
    assert tell(submitted(), plan_failed()).response.status == "failed"
    response = tell(submitted(), planned("a"), succeeded("a"), plan_failed(2)).response
    assert (response.status, response.turns) == ("partial", 1)
    assert response.error is not None
    assert response.error.code == FailureCode.MODEL_FAILED


def test_an_invalid_request_is_answered_with_its_reason() -> None:
    """`rejected` is a response like any other, and the end."""
    story = tell(rejected())
    response = story.response
    assert (response.status, response.turns, response.duration_ms) == ("rejected", 0, 0.0)
    assert response.error == rejected().error
    assert story.finished.status == "rejected"


def test_an_invalid_request_ends_a_run_that_only_run_events_have_opened() -> None:
    """A stray outcome under the same id does not keep the rejection from being answered."""
    story = tell(succeeded("a"), rejected())
    assert story.response.status == "rejected"


def test_an_outcome_that_no_plan_names_is_superseded() -> None:
    """An orphan of a plan that lost is shown, and neither saves nor spoils the run."""
    response = tell(results_only(), failed("z-orphan"), planned("a"), succeeded("a-orphan"), succeeded("a")).response
    assert response.status == "completed"
    assert [(r.call_id, r.status, r.turn, r.arguments) for r in response.results] == [
        ("a", "succeeded", 1, {"query": "a"}),
        ("a-orphan", "superseded", None, None),
        ("z-orphan", "superseded", None, None),
    ]
    lost = tell(results_only(), planned("a"), succeeded("orphan"), failed("a")).response
    assert lost.status == "failed"


def test_text_beside_calls_is_kept_in_part_and_an_answer_in_full() -> None:
    """A hundred turns share one row, so what a model says beside its calls is bounded; its answer is not."""
    long = "x" * (MAX_ASIDE_BYTES + 1)
    story = tell(submitted(), planned("a", text=long), succeeded("a"), answered(long))
    assert story.turns[0].history[0].text == long[:-1]
    assert story.response.answer == long


def test_the_request_is_echoed_in_the_response() -> None:
    """Who asked, for whom, and what they attached comes back."""
    request = RequestSubmitted(prompt="do it", user_id="u", tenant="acme", metadata={"ticket": [1, {"a": None}]})
    response = tell(submitted(request), answered("done", turn=1)).response
    assert (response.user_id, response.tenant, response.metadata) == ("u", "acme", {"ticket": [1, {"a": None}]})


def test_a_run_never_answers_twice() -> None:
    """Whatever comes behind the end, there is one response."""
    story = tell(submitted(), answered("a", turn=1), answered("b", turn=1), cancelled(), submitted(), deadline())
    assert len([command for command in story.commands if isinstance(command, Respond)]) == 1


def test_an_empty_answer_is_no_answer() -> None:
    """Failure never looks like success: a model that says nothing at all has not answered."""
    response = tell(submitted(), planned(text=None)).response
    assert (response.status, response.answer) == ("failed", None)
    assert response.error is not None
    assert response.error.code == FailureCode.MODEL_FAILED


def test_a_planner_that_ran_out_of_time_is_the_deadline() -> None:
    """Whichever of the two says it first, the response is the same kind."""
    error = Failure(code=FailureCode.DEADLINE_EXCEEDED, message="the deadline came before the plan was complete")
    late = PlanFailed(correlation_id=RUN, turn=1, error=error, usage=Usage(input_tokens=5))
    response = tell(submitted(), late).response
    assert (response.status, response.usage.input_tokens) == ("timed_out", 5)


def test_a_worker_that_ran_out_of_the_runs_time_is_the_deadline() -> None:
    """Whichever of the two is read first, the response says that time was up."""
    error = Failure(code=FailureCode.DEADLINE_EXCEEDED, message="wait did not finish within 300 ms")
    late = ToolCallTimedOut(correlation_id=RUN, call_id="a", error=error)
    response = tell(results_only(), planned("a"), late).response
    assert (response.status, response.error) == ("timed_out", error)
