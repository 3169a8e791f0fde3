"""Promises of the timeline: a run at a glance, and nothing in it drives the terminal."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.failure import Failure, FailureCode
from schemas.run import CallResult, RunFinished
from streams.plain_text import printable, shortened
from streams.timeline import BAR_CHARACTERS, timeline
from tests.support.facts import RUN, START, at

CONTROL = "\x1b[2J\x07\r\n\x00\x7f\x9b31m\u2028\u202e"


def result(name: str = "a", **fields: Any) -> CallResult:  # noqa: ANN401 - fields of the model
    """A call that succeeded 100 ms after the request and took 200."""
    known = {"turn": 1, "tool": "wait", "arguments": {}, "status": "succeeded", "result": 1}
    times = {"started_at": at(100), "duration_ms": 200.0}
    return CallResult.model_validate({"call_id": name, **known, **times, **fields})


def run(*results: CallResult, duration_ms: float = 400.0, **fields: Any) -> RunFinished:  # noqa: ANN401 - as above
    """A finished run."""
    known = {"correlation_id": RUN, "status": "completed", "turns": 2, "submitted_at": START}
    ended = START + timedelta(milliseconds=duration_ms)
    return RunFinished.model_validate(
        {**known, "finished_at": ended, "duration_ms": duration_ms, "results": results, **fields}
    )


def test_a_run_is_told_in_one_line_per_call() -> None:
    """Which tool, when, how long, where in the run, and what came back."""
    lines = timeline(run(result(), result("b", tool="calculate", result={"x": 1}))).splitlines()
    assert lines[0] == "run run-1: completed after 2 calls in 2 turns"
    assert lines[3].split() == ["wait", "+100", "ms", "200", "ms", "·····██████████·····", "1"]
    assert lines[4].split()[-1] == '{"x":1}'
    assert lines[-1] == "tools one after the other: 400 ms    this run: 400 ms"


def test_one_call_in_one_turn_is_singular() -> None:
    """Read by people."""
    assert "after 1 call in 1 turn" in timeline(run(result(), turns=1))


def test_a_run_without_calls_has_no_table() -> None:
    """An answer at once, or a rejection with its reason."""
    error = Failure(code=FailureCode.INVALID_REQUEST, message="prompt: is empty")
    assert timeline(run(status="rejected", turns=0, error=error)).splitlines() == [
        "run run-1: rejected after 0 calls in 0 turns",
        "error: invalid_request: prompt: is empty",
    ]


def test_a_superseded_call_that_nobody_named_is_shown_as_such() -> None:
    """It has no tool and no turn; that it ran is still worth a line."""
    shown = timeline(run(result(tool=None, turn=None, arguments=None, status="superseded")))
    assert "(superseded)" in shown
    assert shown.splitlines()[3].endswith("superseded")


def test_a_call_that_never_started_has_no_times_and_no_bar() -> None:
    """A dash is not a zero."""
    failure = Failure(code=FailureCode.DEADLINE_EXCEEDED, message="too late")
    line = timeline(
        run(result(started_at=None, duration_ms=None, status="timed_out", result=None, error=failure))
    ).splitlines()[3]
    assert line.split() == ["wait", "-", "-", "timed_out:", "too", "late"]


def test_a_failed_call_says_why_instead_of_a_result() -> None:
    """And a call without a reason says at least how it ended."""
    failure = Failure(code=FailureCode.TOOL_FAILED, message="out of order")
    assert "failed: out of order" in timeline(run(result(status="failed", result=None, error=failure)))
    assert timeline(run(result(status="cancelled", result=None))).splitlines()[3].endswith("cancelled")


@pytest.mark.parametrize(
    "shown",
    [
        timeline(run(result(result=CONTROL))),
        timeline(run(result(tool=f"to{CONTROL}ol"))),
        timeline(run(result(status="failed", error=Failure(code=FailureCode.TOOL_FAILED, message=CONTROL)))),
        timeline(run(error=Failure(code=FailureCode.MODEL_FAILED, message=f"down {CONTROL}"))),
        timeline(run(correlation_id="a\x9b31m")),
    ],
    ids=["result", "tool", "call error", "run error", "id"],
)
def test_control_characters_never_reach_the_terminal(shown: str) -> None:
    """Results, names and messages are others' text."""
    assert all(character.isprintable() for character in shown.replace("\n", ""))


@given(st.text(), st.integers(1, 100))
def test_a_shortened_text_is_one_line_of_at_most_its_length(text: str, characters: int) -> None:
    """Whatever the text is; it ends with an ellipsis when something is left out."""
    short = shortened(text, characters)
    assert len(short) <= characters
    assert short.isprintable() or not short
    assert short.endswith("…") or " ".join(printable(text).split()) == short


def test_an_answer_keeps_its_lines() -> None:
    """What may stay is named by the caller."""
    assert printable("a\n\tb\x1b", keep="\n\t") == "a\n\tb "


@given(st.floats(-1e6, 1e6), st.floats(0, 1e308), st.floats(0, 1e6))
def test_a_bar_lies_inside_the_run_whatever_the_clocks_say(started: float, took: float, whole: float) -> None:
    """A worker's clock may be wrong by hours."""
    line = timeline(run(result(started_at=at(started), duration_ms=took), duration_ms=whole), 200).splitlines()[3]
    bar = [word for word in line.split() if set(word) <= {"·", "█"}]
    if whole <= 0:
        assert bar == []
    else:
        assert len(bar[0]) == BAR_CHARACTERS
        assert "█" in bar[0]
