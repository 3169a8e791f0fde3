"""Promises of the draft: calls may need each other's results, and a plan that cannot be run is refused as a whole."""

from __future__ import annotations

import pytest

from agents.draft import Draft, PlanInvalid
from agents.llm.model import CallSealed
from agents.tools.registry import Registry
from agents.tools.tool import tool
from agents.turn import Turn
from schemas.base import Json
from schemas.failure import FailureCode
from schemas.plan import PlannedCall
from schemas.request import RequestSubmitted
from schemas.run import CallResult
from schemas.tool_call import ReplyTo
from schemas.turn import TurnRecord
from tests.support.facts import RUN, at


@tool
def search(query: str) -> str:
    """Find something."""
    return query


EARLIER = CallResult(call_id="earlier", turn=1, tool="search", arguments={}, status="succeeded", result=[1])


def drafted(*calls: tuple[str | None, Json]) -> list[PlannedCall]:
    """Draft a second turn of calls of `search`, each a label and what it searches for."""
    reply_to = ReplyTo(topic="run-events", partition=3)
    history = (TurnRecord(turn=1, calls=(EARLIER,)),)
    turn = Turn(RUN, 2, RequestSubmitted(prompt="x"), at(60_000), reply_to, history)
    draft = Draft(turn, Registry([search]))
    for index, (label, query) in enumerate(calls):
        call = draft.take(CallSealed(index, "search", {"query": query}, label))
        assert (call is None) == isinstance(query, dict), "only a call without references can be published at once"
    return list(draft.complete())


def test_a_reference_is_written_with_the_id_of_the_call_it_names() -> None:
    """Labels are the model's; on the log a call is known by its id, and the order of the calls is kept."""
    last, first, middle = drafted(("c", {"$result": "b", "path": "/0"}), ("a", "x"), ("b", {"$result": "a"}))
    assert (first.needs, middle.needs, last.needs) == ((), (first.call_id,), (middle.call_id,))
    assert last.arguments == {"query": {"$result": middle.call_id, "path": "/0"}}
    assert {call.error for call in (first, middle, last)} == {None}


def test_a_call_of_an_earlier_turn_is_named_by_its_id() -> None:
    """Its result is in the history that the model was shown."""
    (call,) = drafted((None, {"$result": "earlier", "path": "/0"}))
    assert call.needs == ("earlier",)


def test_a_plan_made_again_has_the_same_ids_though_the_calls_come_in_another_order() -> None:
    """Also for calls with references: their ids are made of the ids they refer to."""
    forward = drafted(("a", "x"), ("b", {"$result": "a"}))
    backward = drafted(("second", {"$result": "first"}), ("first", "x"))
    assert [call.call_id for call in forward] == [call.call_id for call in reversed(backward)]


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        ([("a", {"$result": "b"}), ("b", {"$result": "a"})], "circle"),
        ([("a", {"$result": "a"})], "circle"),
        ([("a", "x"), (None, {"$result": "nobody"})], "'nobody', and no call is named so"),
        ([("a", "x"), ("a", "y")], "two calls are named 'a'"),
    ],
)
def test_a_plan_that_can_never_be_run_is_refused(calls: list[tuple[str | None, Json]], words: str) -> None:
    """As a whole, and the reader is told what is wrong with it."""
    with pytest.raises(PlanInvalid, match=words):
        drafted(*calls)


def test_a_malformed_reference_is_an_error_of_its_call_alone() -> None:
    """As any other argument that does not fit: the model sees why."""
    reply_to = ReplyTo(topic="run-events", partition=3)
    draft = Draft(Turn(RUN, 1, RequestSubmitted(prompt="x"), at(60_000), reply_to), Registry([search]))
    assert draft.take(CallSealed(0, "search", {"query": {"$result": 5}})) is None
    (call,) = draft.complete()
    assert call.error is not None
    assert call.error.code == FailureCode.INVALID_ARGUMENTS
    assert "$result" in call.error.message
