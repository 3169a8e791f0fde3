"""The request commutes: requests and run events are two topics, and which is read first is chance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.control import ApprovalGiven
from schemas.request import RequestSubmitted
from schemas.submission import Submission
from streams.runs.reduce import Fact
from tests.support.facts import (
    RUN,
    START,
    Story,
    answered,
    call,
    cancelled,
    deadline,
    failed,
    placed,
    plan_failed,
    planned,
    rejected,
    submitted,
    succeeded,
    tell_placed,
    timed_out,
)

NAMES = st.sampled_from(["a", "b", "orphan"])
RUN_EVENTS = st.one_of(
    st.builds(succeeded, NAMES, st.integers(0, 3)),
    st.builds(failed, NAMES),
    st.builds(timed_out, NAMES),
    st.just(planned("a", "b")),
    st.just(planned("a", call("bad", error="no such tool"))),
    st.just(planned(call("bad", error="no such tool"))),
    st.just(answered("done", turn=1)),
    st.just(plan_failed()),
    st.just(cancelled()),
    st.just(deadline()),
    st.just(ApprovalGiven(correlation_id=RUN, call_id="a", approved=True)),
)
REQUESTS = st.builds(
    lambda mode, turns: submitted(RequestSubmitted(prompt="do it", mode=mode, max_turns=turns)),
    st.sampled_from(["answer", "results"]),
    st.sampled_from([1, 8]),
)


def told(events: list[Fact], request: Fact, position: int) -> Story:
    """Fold the events in their order with the request read at `position` among them."""
    facts = placed(events)
    facts.insert(position, (request, START))
    return tell_placed(facts)


def ending(story: Story) -> bytes | None:
    """Return the response's bytes, None when there is none yet."""
    return encode(story.response) if story.responses else None


@given(st.lists(RUN_EVENTS, max_size=8), st.one_of(REQUESTS, st.just(rejected())), st.data())
def test_the_response_has_the_same_bytes_wherever_the_request_is_read(
    events: list[Fact], request: Fact, data: st.DataObject
) -> None:
    """A replay that reads the two topics in another order answers byte for byte the same, or not yet either."""
    position = data.draw(st.integers(0, len(events)))
    assert ending(told(events, request, position)) == ending(told(events, request, 0))


@given(st.lists(RUN_EVENTS, max_size=6), REQUESTS)
def test_a_run_that_goes_on_goes_on_alike_wherever_the_request_is_read(events: list[Fact], request: Submission) -> None:
    """The next turn is asked for with the same history, unless the run is over before it could be."""
    first, last = told(events, request, 0), told(events, request, len(events))
    if not first.responses:
        assert [encode(turn) for turn in last.turns] == [encode(turn) for turn in first.turns]
        assert last.dispatched == first.dispatched
    else:
        assert last.turns == []


@given(st.lists(RUN_EVENTS, max_size=6), REQUESTS, st.data())
def test_repeated_facts_change_nothing(events: list[Fact], request: Submission, data: st.DataObject) -> None:
    """Every writer is at-least-once: a fact repeated right behind itself has no effect."""
    facts = [(request, START), *placed(events)]
    twice = [fact for fact in facts for _ in range(data.draw(st.integers(1, 3)))]
    once = tell_placed(facts)
    repeated = tell_placed(twice)
    assert ending(repeated) == ending(once)
    assert len(repeated.commands) == len(once.commands)
    assert repeated.run == once.run


@pytest.mark.parametrize(
    "late",
    [[cancelled()], [deadline()], [succeeded("orphan")], [failed("orphan"), cancelled()]],
    ids=["cancel", "deadline", "orphan", "orphan and cancel"],
)
def test_what_comes_behind_the_end_does_not_count_although_the_request_is_read_last(late: list[Fact]) -> None:
    """The first turn was all there was to do: that it could not be known then must not let later facts in."""
    request = submitted(RequestSubmitted(prompt="do it", mode="results"))
    events: list[Fact] = [planned("a"), succeeded("a"), *late]
    response = told(events, request, len(events)).response
    assert response.status == "completed"
    assert [result.call_id for result in response.results] == ["a"]
    assert encode(response) == encode(told(events, request, 0).response)


def test_what_comes_behind_an_ending_does_not_count_although_the_request_is_read_last() -> None:
    """A result that arrives after the cancellation stays out, as it does when the request was read in time."""
    events: list[Fact] = [planned("a", "b"), succeeded("a"), cancelled(), succeeded("b")]
    response = told(events, submitted(), len(events)).response
    assert [result.status for result in response.results] == ["succeeded", "cancelled"]
    assert encode(response) == encode(told(events, submitted(), 0).response)
