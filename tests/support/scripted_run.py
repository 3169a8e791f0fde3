"""A whole run in one process: a model and the built-in tools take turns until there is an answer."""

from __future__ import annotations

from dataclasses import dataclass

from agents.llm.model import CallSealed, ChatModel, Conversation, TextDelta
from agents.tools.registry import Registry, load_registry
from agents.tools.tool import ToolError
from schemas.base import Json
from schemas.reference import replaced, value_at
from schemas.run import CallResult
from schemas.turn import TurnRecord
from tests.support.call_context import CONTEXT


@dataclass(frozen=True, slots=True)
class PlayedRun:
    """What happened: the calls of all turns in order, and the answer."""

    calls: tuple[CallResult, ...]
    answer: str


async def play(model: ChatModel, prompt: str, tools: Registry | None = None) -> PlayedRun:
    """Play a prompt to its answer."""
    tools = load_registry() if tools is None else tools
    history: list[TurnRecord] = []
    while True:
        conversation = Conversation(prompt, len(history) + 1, tuple(history), tools.specs())
        events = [event async for event in model.stream(conversation)]
        sealed = [event for event in events if isinstance(event, CallSealed)]
        calls: list[CallResult] = []
        for call in sealed:  # one after the other, so that a call may refer to those before it
            calls.append(await _called(tools, call, conversation.turn, _labelled(sealed, calls)))
        if not calls:
            answer = "".join(event.text for event in events if isinstance(event, TextDelta))
            return PlayedRun(tuple(call for turn in history for call in turn.calls), answer)
        history.append(TurnRecord(turn=conversation.turn, calls=tuple(calls)))


def _labelled(sealed: list[CallSealed], calls: list[CallResult]) -> dict[str, Json]:
    """Return the results so far by the labels of their calls."""
    return {call.label: ended.result for call, ended in zip(sealed, calls, strict=False) if call.label is not None}


async def _called(tools: Registry, call: CallSealed, turn: int, labelled: dict[str, Json]) -> CallResult:
    """Run one call and say how it ended."""
    result, error = None, None
    arguments = replaced(call.arguments, lambda reference: value_at(labelled[reference.call], reference))
    try:
        result = await tools.find(call.tool).run(arguments, CONTEXT)
    except ToolError as raised:
        error = raised.failure()
    return CallResult(
        call_id=f"call-{turn}-{call.index}",
        turn=turn,
        tool=call.tool,
        arguments=arguments,
        status="failed" if error else "succeeded",
        result=result,
        error=error,
        attempts=1,
    )
