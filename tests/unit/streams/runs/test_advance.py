"""Promises of what follows from a run's state: nothing early, nothing twice, a bounded next turn."""

from __future__ import annotations

from schemas.codec import encode
from schemas.failure import FailureCode
from streams.runs.advance import MAX_HISTORY_BYTES, advance
from tests.support.facts import answered, call, planned, submitted, succeeded, tell, timed_out


def test_a_run_that_waits_is_not_moved() -> None:
    """For its planner, or for a call: there is nothing to write."""
    for story in (tell(submitted()), tell(submitted(), planned("a", "b"), succeeded("a"))):
        run, commands = advance(story.open)
        assert run is story.run
        assert commands == ()


def test_what_was_published_is_marked_so_that_it_is_published_once() -> None:
    """The row knows that its call is on the way, also after a reload."""
    run = tell(submitted(), planned(call("e", effect="effectful"))).open
    published = run.calls["e"].call
    assert published is not None
    assert published.dispatched
    assert advance(run) == (run, ())


def test_a_turn_ends_with_its_last_call_only() -> None:
    """The next turn sees all results, so it waits for all."""
    story = tell(submitted(), planned("a", "b"), succeeded("a"), timed_out("b"))
    assert [len(transition.commands) for transition in story.transitions] == [0, 0, 0, 1]
    assert [result.status for result in story.turns[0].history[0].calls] == ["succeeded", "timed_out"]


def test_the_history_of_a_turn_holds_every_earlier_turn() -> None:
    """Planners keep no state: all they need is in the record."""
    story = tell(
        submitted(),
        planned("a"),
        succeeded("a", 1),
        planned("b", "c", turn=2),
        succeeded("c", 3),
        succeeded("b", 2),
        answered("6", turn=3),
    )
    second, third = story.turns
    assert (second.turn, third.turn) == (2, 3)
    assert [[result.result for result in record.calls] for record in third.history] == [[1], [2, 3]]
    assert third.history[0] == second.history[0]
    assert third.request == submitted().request


def test_the_history_of_a_turn_is_bounded() -> None:
    """Results that would not fit into a record are replaced by a note that the model reads."""
    names = [f"call-{number}" for number in range(60)]
    story = tell(submitted(), planned(*names), *(succeeded(name, "x" * 250_000) for name in names))
    (turn,) = story.turns
    assert len(encode(turn)) < MAX_HISTORY_BYTES + 100_000
    left_out = [result for result in turn.history[0].calls if result.result is None]
    assert 0 < len(left_out) < 60
    assert {result.error.code for result in left_out if result.error} == {FailureCode.RESULT_TOO_LARGE}
