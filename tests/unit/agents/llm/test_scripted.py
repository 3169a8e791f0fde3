"""Promises of the scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import orjson
import pytest

from agents.llm.model import (
    CallSealed,
    CallStarted,
    ChatModel,
    Conversation,
    Finished,
    ModelCallFailed,
    ModelEvent,
    TextDelta,
)
from agents.llm.script import Script
from agents.llm.scripted import ScriptedModel
from agents.tools.registry import load_registry
from schemas.failure import Failure, FailureCode
from schemas.run import CallResult, CallStatus, Usage
from schemas.turn import TurnRecord
from tests.support.scripted_run import play
from tests.support.virtual_time import run_virtually

SCRIPT = Script.parse(
    """
- match: 'add (?P<a>[0-9]+)(?: and (?P<b>[0-9]+))?'
  turns:
    - first_token_ms: 100
      per_call_ms: 50
      calls:
        - tool: calculate
          arguments: {expression: "{a} + {b}", "{a}": ["{a:int}", {deep: "<{prompt}>"}], fixed: [1, null, true]}
        - tool: wait
          arguments: {ms: "{a:int}"}
    - first_token_ms: 30
      answer: "{results[0]} and {results[1][waited_ms]}: a long enough answer"
- match: only calls
  turns:
    - calls: [{tool: wait}]
- match: empty
  turns:
    - answer: ""
""",
)


def result(status: CallStatus = "succeeded", value: Any = None, error: str | None = None) -> CallResult:  # noqa: ANN401 - any JSON value
    """Return how a call of turn 1 ended."""
    failure = Failure(code=FailureCode.TOOL_FAILED, message=error) if error else None
    return CallResult(call_id="c", turn=1, tool="t", arguments={}, status=status, result=value, error=failure)


def after(*calls: CallResult, turn: int = 2, prompt: str = "add 1 and 2") -> Conversation:
    """Return a conversation whose last turn ended with these calls."""
    return Conversation(prompt=prompt, turn=turn, history=(TurnRecord(turn=turn - 1, calls=calls),))


def timed(conversation: Conversation, script: Script = SCRIPT) -> list[tuple[float, ModelEvent]]:
    """Return the events of a turn with the milliseconds at which they came."""

    async def collect(events: AsyncIterator[ModelEvent]) -> list[tuple[float, ModelEvent]]:
        loop = asyncio.get_running_loop()
        return [(round(loop.time() * 1000, 3), event) async for event in events]

    model: ChatModel = ScriptedModel(script)
    return run_virtually(collect(model.stream(conversation)))


def answer(conversation: Conversation, script: Script = SCRIPT) -> str:
    """Return the text of a turn."""
    return "".join(event.text for _, event in timed(conversation, script) if isinstance(event, TextDelta))


def test_calls_are_streamed_one_after_the_other() -> None:
    """Each is sealed `per_call_ms` after it began, the first begins after `first_token_ms`; then the turn is over."""
    arguments = {"expression": "1 + 2", "{a}": [1, {"deep": "<add 1 and 2>"}], "fixed": [1, None, True]}
    assert timed(Conversation("add 1 and 2")) == [
        (100, CallStarted(0, "calculate")),
        (150, CallSealed(0, "calculate", arguments)),
        (150, CallStarted(1, "wait")),
        (200, CallSealed(1, "wait", {"ms": 1})),
        (200, Finished(Usage(input_tokens=4, output_tokens=17), "scripted")),
    ]


def test_an_answer_comes_in_a_few_pieces() -> None:
    """After `first_token_ms`; the pieces together are the answer."""
    events = timed(after(result(value=3), result(value={"waited_ms": 1})))
    assert {at for at, _ in events} == {30}
    pieces = [event.text for _, event in events if isinstance(event, TextDelta)]
    assert "".join(pieces) == "3 and 1: a long enough answer"
    assert 2 <= len(pieces) <= 5
    assert isinstance(events[-1][1], Finished)


def test_an_empty_answer_is_an_answer() -> None:
    """No text, no calls, and the turn is over."""
    assert [event for _, event in timed(Conversation("empty"))] == [Finished(Usage(input_tokens=1), "scripted")]


def test_failed_calls_appear_as_their_reason() -> None:
    """A call that failed, was skipped or timed out does not fail the turn."""
    text = answer(after(result("failed", error="no such zone"), result("skipped")))
    assert text == "no such zone and the call ended skipped: a long enough answer"


def test_a_group_that_took_no_part_is_empty() -> None:
    """Not the text None."""
    sealed = timed(Conversation("add 7"))[1][1]
    assert isinstance(sealed, CallSealed)
    assert sealed.arguments["expression"] == "7 + "


def test_the_last_answer_is_given_again() -> None:
    """When a run has more turns than the script, with the results it then has."""
    assert answer(after(result(value=5), result(value={"waited_ms": 6}), turn=7)).startswith("5 and 6")


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (Conversation("hello"), "no entry of the script script.yaml matches this prompt"),
        (after(result(), prompt="only calls"), "the script script.yaml has no turn 2 for this prompt"),
        (after(result(value=1)), r"\{results\[1\]\[waited_ms\]\}: there is no \[1\]"),
        (after(result(value=1), result(value={})), r"there is no \[waited_ms\]"),
        (Conversation("add 1", turn=2), r"there is no \[0\]"),
        (Conversation("add 99999999999999999999"), "64 bits"),
    ],
)
def test_what_the_script_cannot_play_fails_for_good(conversation: Conversation, reason: str) -> None:
    """The error is terminal, has a code, and comes before the first event: no call of a broken turn starts."""
    with pytest.raises(ModelCallFailed, match=reason) as raised:
        timed(conversation)
    assert raised.value.code is FailureCode.MODEL_FAILED
    assert not raised.value.retryable


def test_a_stream_can_be_closed_early() -> None:
    """A planner that is cancelled leaves nothing behind."""

    async def first() -> ModelEvent:
        # An asynchronous generator, so that it has aclose.
        stream = ScriptedModel(SCRIPT).stream(Conversation("add 1 and 2"))
        event = await anext(stream)
        await stream.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return event

    assert run_virtually(first()) == CallStarted(0, "calculate")


async def test_the_built_in_script_is_played_with_the_built_in_tools() -> None:
    """Each prompt that it says it knows leads to calls whose arguments fit and which succeed, and to an answer."""
    catch_all = (await play(ScriptedModel(), "what can you do")).answer
    known = [line.removeprefix("- ") for line in catch_all.splitlines() if line.startswith("- ")]
    assert len(known) == 6
    for prompt in known:
        played = await play(ScriptedModel(), prompt)
        assert played.calls, prompt
        assert {call.status for call in played.calls} == {"succeeded"}, prompt
        assert played.answer != catch_all, prompt
    first = await play(ScriptedModel(), known[0])
    assert [call.tool for call in first.calls] == [
        "current_time",
        "current_time",
        "calculate",
        "search_documents",
        "wait",
        "wait",
        "wait",
    ]
    assert "17*23 = 391" in first.answer
    assert "took 400, 500 and\n600 ms" in first.answer


async def test_the_built_in_script_meets_mistakes_with_words() -> None:
    """A zone that does not exist or a division by zero ends in an answer that says so."""
    assert "perhaps Europe/Berlin" in (await play(ScriptedModel(), "what time is it in Berln?")).answer
    assert "division by zero" in (await play(ScriptedModel(), "Calculate 1/0")).answer
    assert "invalid" in (await play(ScriptedModel(), "wait 999999 ms")).answer.lower()


def test_every_tool_of_the_built_in_script_exists() -> None:
    """And its arguments are objects that can be written."""
    tools = load_registry()
    for entry in Script.load().entries:
        for turn in entry.turns:
            for call in turn.calls:
                assert call.tool in tools
                assert orjson.dumps(call.arguments)


def test_calls_are_numbered_in_order() -> None:
    """Index n is call n, started before it is sealed, one at a time."""
    events = [event for _, event in timed(Conversation("wait 1 ms five times"), Script.load())][:-1]
    for number, (started, sealed) in enumerate(list(pairwise(events))[::2]):
        assert started == CallStarted(number, "wait")
        assert sealed == CallSealed(number, "wait", {"ms": 1})
    assert len(events) == 10
