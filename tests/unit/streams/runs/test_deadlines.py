"""Promises of the deadline heap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.runs.deadlines import Deadlines
from tests.support.facts import at


def test_without_runs_there_is_nothing_to_wait_for() -> None:
    """An empty heap has no next deadline and nothing due."""
    deadlines = Deadlines()
    assert deadlines.next() is None
    assert deadlines.pop_due(at(1e9)) == []


def test_a_deadline_is_due_at_its_very_moment_and_once() -> None:
    """Not a millisecond early, and taken out when it is handed over."""
    deadlines = Deadlines()
    deadlines.push("run", at(100))
    assert deadlines.pop_due(at(99)) == []
    assert deadlines.next() == at(100)
    assert deadlines.pop_due(at(100)) == ["run"]
    assert deadlines.pop_due(at(100)) == []
    assert deadlines.next() is None


@given(st.lists(st.tuples(st.text("ab", max_size=3), st.integers(0, 50)), max_size=20), st.integers(0, 50))
def test_what_is_due_comes_out_soonest_first_and_the_rest_stays(pushed: list[tuple[str, int]], now: int) -> None:
    """In whatever order runs are opened."""
    deadlines = Deadlines()
    for name, moment in pushed:
        deadlines.push(name, at(moment))
    expected = sorted(((at(moment), name) for name, moment in pushed), key=lambda entry: entry)
    assert deadlines.pop_due(at(now)) == [name for moment, name in expected if moment <= at(now)]
    later = [moment for moment, _ in expected if moment > at(now)]
    assert deadlines.next() == (later[0] if later else None)
