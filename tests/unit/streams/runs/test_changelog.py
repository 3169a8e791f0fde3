"""Promises of the changelog: rows put together are the runs they were taken from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.codec import encode
from schemas.events import RUNS_CHANGELOG, Row
from schemas.rows import CallRow, FinishedRow, RunRow
from streams.runs.changelog import ChangelogUnreadable, _put, runs_of
from streams.runs.reduce import Fact
from streams.runs.run import OpenRun, Run, changed_rows, row_key, rows_of
from tests.support.facts import RUN, START, call, placed, planned, results_only, submitted, succeeded, tell, tell_placed

STORY: list[Fact] = [
    submitted(),
    succeeded("orphan"),
    planned("a", call("e", effect="effectful")),
    succeeded("a", {"n": [1.5]}),
]


def compacted(changes: Sequence[tuple[str, Row | None]]) -> dict[str, Row]:
    """Keep the last row of each key, as compaction does."""
    rows: dict[str, Row] = {}
    for key, row in changes:
        rows.pop(key, None)
        if row is not None:
            rows[key] = row
    return rows


def written(facts: Sequence[Fact]) -> list[tuple[str, Row | None]]:
    """List the rows that folding the facts writes, in order."""
    states: list[Run | None] = [None, *(transition.run for transition in tell(*facts).transitions)]
    return [change for before, after in pairwise(states) if after is not None for change in changed_rows(before, after)]


@pytest.mark.parametrize("facts", [STORY, STORY[:1], [*STORY, succeeded("e")], [results_only(), planned()]])
def test_runs_taken_apart_and_put_together_are_the_same(facts: list[Fact]) -> None:
    """Open or finished, a run survives being rows."""
    story = tell(*facts)
    assert story.run is not None
    runs = {RUN: story.run}
    assert runs_of(rows_of(runs).values()) == runs


@given(st.integers(1, len(STORY)))
def test_the_rows_written_on_the_way_are_the_run(length: int) -> None:
    """At whatever fact a process dies, what it had committed loads as the state it had."""
    facts = STORY[:length]
    rows = compacted(written(facts))
    assert runs_of(rows.values()) == {RUN: tell_placed(placed(facts)).run}


def test_rows_survive_their_bytes() -> None:
    """What is loaded from Kafka is what was written, field for field."""
    for row in rows_of({RUN: tell(*STORY).open}).values():
        assert RUNS_CHANGELOG.decode(encode(row)) == row


def test_only_what_changed_is_written() -> None:
    """An outcome writes the row of its call and not the whole run, unless the run moved on."""
    keys = [[key for key, _ in written(STORY[:length])] for length in range(1, len(STORY) + 1)]
    assert keys[0] == [RUN]
    assert keys[2][len(keys[1]) :] == [RUN, row_key(RUN, "a"), row_key(RUN, "e")]
    assert row_key(RUN, "a") in keys[3][len(keys[2]) :]
    assert row_key(RUN, "e") not in keys[3][len(keys[2]) :]


def test_the_end_of_a_run_deletes_the_rows_of_its_calls() -> None:
    """One small row stays, so that the changelog of a finished run is small whatever it did."""
    rows = compacted(written([results_only(), planned("a", "b"), succeeded("a"), succeeded("b"), succeeded("c")]))
    assert list(rows) == [RUN]
    assert isinstance(rows[RUN], FinishedRow)


def test_a_key_means_one_row() -> None:
    """Ids hold no line feed, so a run's key can never be that of a call."""
    assert row_key("a") == "a"
    assert row_key("a", "b") == "a\nb"
    for name in ("a\nb", ""):
        with pytest.raises(ValidationError):
            CallRow(correlation_id=name, call_id="b")


def test_a_call_without_its_run_is_no_run() -> None:
    """Only the row of a run makes one; a call's row may come before it."""
    stray = CallRow(correlation_id="a", call_id="x")
    assert runs_of([stray]) == {}
    head = RunRow(correlation_id="a", last_at=START)
    assert runs_of([stray, head]) == {"a": OpenRun(head, {"x": stray})}


def test_a_record_that_is_no_row_stops_the_load() -> None:
    """Going on without it would answer from half a run; the message says where it lies."""
    rows: dict[str, Row] = {}
    with pytest.raises(ChangelogUnreadable, match=r"runs-changelog\[3\]@17 is not a row.*not JSON"):
        _put(rows, b"run-1", b"{", ("runs-changelog", 3, 17))


def test_a_tombstone_takes_a_row_out() -> None:
    """Also one of a key that was never there."""
    rows: dict[str, Row] = {}
    position = ("runs-changelog", 0, 0)
    _put(rows, b"run-1", encode(tell(submitted()).open.row), position)
    _put(rows, b"run-1", None, position)
    _put(rows, b"run-2", None, position)
    assert rows == {}
