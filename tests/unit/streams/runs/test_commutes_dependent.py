"""The request commutes with calls that need each other's results, too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import Json
from schemas.codec import encode
from schemas.plan import PlannedCall
from schemas.reference import MARK
from streams.runs.reduce import Fact
from tests.support.facts import (
    START,
    cancelled,
    deadline,
    failed,
    placed,
    plan_failed,
    planned,
    results_only,
    submitted,
    succeeded,
    tell_placed,
)

NEEDY = PlannedCall(call_id="b", tool="search", arguments={"query": {MARK: "a", "path": "/found"}}, needs=("a",))
NEEDIER = PlannedCall(call_id="c", tool="search", arguments={"query": {MARK: "b", "path": ""}}, needs=("b",))
FOUND: Json = {"found": "it"}
EVENTS = st.one_of(
    st.builds(succeeded, st.sampled_from(["a", "b"]), st.sampled_from([FOUND, {}])),
    st.builds(failed, st.sampled_from(["a", "b"])),
    st.just(planned("a", NEEDY, NEEDIER)),
    st.sampled_from([cancelled(), deadline(), plan_failed()]),
)


def response(events: list[Fact], request: Fact, position: int) -> bytes | None:
    """Return the response's bytes, if there is one, with the request read at `position` among the events."""
    facts = placed(events)
    facts.insert(position, (request, START))
    story = tell_placed(facts)
    return encode(story.response) if story.responses else None


@given(st.lists(EVENTS, max_size=6), st.sampled_from([submitted(), results_only()]), st.data())
def test_the_response_has_the_same_bytes_wherever_the_request_is_read(
    events: list[Fact], request: Fact, data: st.DataObject
) -> None:
    """Results are put into the calls that need them whenever they would have been, had the request been read first."""
    position = data.draw(st.integers(0, len(events)))
    assert response(events, request, position) == response(events, request, 0)


def test_a_call_whose_outcome_is_read_before_the_request_says_what_it_was_run_with() -> None:
    """A replay may read all run events before the first request."""
    events: list[Fact] = [planned("a", NEEDY), succeeded("a", FOUND), succeeded("b", FOUND)]
    last = response(events, results_only(), len(events))
    assert last is not None
    assert b'"arguments":{"query":"it"}' in last
    assert last == response(events, results_only(), 0)


@pytest.mark.parametrize("ending", [cancelled(), deadline()], ids=["cancel", "deadline"])
def test_a_call_that_was_ready_when_the_run_ended_says_what_it_would_have_been_run_with(ending: Fact) -> None:
    """Although it was never published, because the request was read last."""
    events: list[Fact] = [planned("a", NEEDY), succeeded("a", FOUND), ending]
    last = response(events, submitted(), len(events))
    assert last is not None
    assert b'"arguments":{"query":"it"}' in last
    assert last == response(events, submitted(), 0)
