"""Promises of calls that need results: published when those are there, skipped with the reason when they never are."""

from __future__ import annotations

from itertools import permutations

import pytest

from schemas.base import Json
from schemas.codec import encode
from schemas.failure import FailureCode
from schemas.plan import PlannedCall
from streams.runs.reduce import Fact
from tests.support.facts import answered, call, failed, planned, results_only, submitted, succeeded, tell, timed_out


def needing(name: str, *needs: str, arguments: Json = None) -> PlannedCall:
    """A call of a pure tool that needs the results of others."""
    written = {"query": [{"$result": one, "path": ""} for one in needs]} if arguments is None else arguments
    return call(name, dispatched=False).model_copy(update={"needs": needs, "arguments": written})


def test_a_call_is_published_when_what_it_needs_has_succeeded_and_not_before() -> None:
    """With the results in its arguments, while other calls still run."""
    plan = planned("a", "b", "slow", needing("sum", "a", "b"))
    waiting = tell(submitted(), plan, succeeded("a", {"n": 1}))
    assert waiting.dispatched == []
    story = tell(submitted(), plan, succeeded("a", {"n": 1}), succeeded("b", [2]))
    assert story.dispatched == ["sum"]
    published = story.open.calls["sum"].call
    assert published is not None
    assert published.arguments == {"query": [{"n": 1}, [2]]}
    assert not story.responses


def test_a_path_picks_a_part_of_a_result() -> None:
    """As RFC 6901 says."""
    reference = {"query": {"$result": "a", "path": "/items/1/name"}}
    story = tell(
        submitted(),
        planned("a", needing("b", "a", arguments=reference)),
        succeeded("a", {"items": [{"name": "x"}, {"name": "y"}]}),
    )
    published = story.open.calls["b"].call
    assert published is not None
    assert published.arguments == {"query": "y"}


@pytest.mark.parametrize("outcome", [failed("a"), timed_out("a")])
def test_what_needs_a_failed_call_is_skipped_and_so_is_what_needs_that(outcome: Fact) -> None:
    """At once, with the reason, and the run goes on with the rest."""
    plan = planned("a", "other", needing("b", "a"), needing("c", "b"), needing("d", "other"))
    story = tell(results_only(), plan, outcome, succeeded("other"), succeeded("d"))
    by_name = {result.call_id: result for result in story.response.results}
    assert story.dispatched == ["d"]
    assert [by_name[name].status for name in ("b", "c", "d")] == ["skipped", "skipped", "succeeded"]
    error = by_name["b"].error
    assert error is not None
    assert error.code == FailureCode.DEPENDENCY_FAILED
    assert "search (a), which did not succeed" in error.message
    assert story.response.status == "partial"


def test_a_call_that_can_never_run_takes_what_needs_it_along() -> None:
    """A planner's refusal counts as a failure; the turn is over at once."""
    story = tell(submitted(), planned(call("a", error="no such tool"), needing("b", "a")))
    (turn,) = story.turns
    assert [one.status for one in turn.history[0].calls] == ["failed", "skipped"]


def test_a_path_that_leads_nowhere_skips_the_call() -> None:
    """It never runs with a null that nobody wrote."""
    story = tell(
        results_only(),
        planned("a", needing("b", "a", arguments={"query": {"$result": "a", "path": "/x"}})),
        succeeded("a", {"y": 1}),
    )
    error = story.response.results[1].error
    assert error is not None
    assert "nothing at '/x'" in error.message


def test_results_too_large_for_a_call_skip_it() -> None:
    """A call that fits into no record would stop its partition."""
    plan = planned("a", "b", "c", needing("d", "a", "b", "c"))
    outcomes = [succeeded(name, "x" * 250_000) for name in ("a", "b", "c")]
    story = tell(results_only(), plan, *outcomes)
    assert story.response.results[3].status == "skipped"


def test_an_effectful_call_waits_for_what_it_needs_too() -> None:
    """It is published once, with the results."""
    paying = needing("pay", "a").model_copy(update={"effect": "effectful"})
    story = tell(submitted(), planned("a", paying), succeeded("a"), succeeded("pay"), answered("done"))
    assert story.dispatched == ["pay"]
    assert story.response.status == "completed"


def test_the_order_of_facts_changes_nothing() -> None:
    """Whichever of request, plan and outcomes is read first."""
    facts: list[Fact] = [
        submitted(),
        planned("a", "b", needing("c", "a"), needing("d", "b")),
        succeeded("a"),
        failed("b"),
    ]
    responses = set()
    for order in permutations(facts):
        story = tell(*order, succeeded("c"), answered("done"))
        assert story.dispatched == ["c"]
        responses.add(encode(story.response.model_copy(update={"finished_at": story.response.submitted_at})))
    assert len({response.split(b'"duration_ms"')[0] for response in responses}) == 1
