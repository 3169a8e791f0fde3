"""The scripted model: a model whose every word comes from a script, and whose delays are real."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Iterator
from typing import Final

from agents.llm.model import CallSealed, CallStarted, Conversation, Finished, ModelCallFailed, ModelEvent, TextDelta
from agents.llm.script import Script, ScriptedTurn
from agents.llm.template import FailedResult, Template, TemplateError, json_text
from schemas.base import Json
from schemas.run import CallResult, Usage

NAME: Final = "scripted"
_ANSWER_CHUNKS: Final = 4


class ScriptedModel:
    """Plays a script. Usage counts words, because nothing here has tokens."""

    def __init__(self, script: Script | None = None) -> None:
        """Take a script; without one, the built-in one."""
        self.script = Script.load() if script is None else script

    async def stream(self, conversation: Conversation) -> AsyncGenerator[ModelEvent, None]:
        """Stream one turn: the calls one after the other or the answer in pieces, then `Finished`.

        Raises `ModelCallFailed` (terminal) when the script has no entry for the prompt, no such turn, or a template
        that cannot be filled in; before any event, so that no call of a broken turn starts.
        """
        turn, values = self._turn(conversation)
        try:
            calls = [(call.tool, rendered(call.arguments, values), call.id) for call in turn.calls]
            answer = None if turn.answer is None else str(Template.parse(turn.answer).render(values))
        except TemplateError as error:
            reason = f"turn {conversation.turn} of the script {self.script.file}: {error}"
            raise ModelCallFailed(name=NAME, reason=reason) from None
        await asyncio.sleep(turn.first_token_ms / 1000)
        for index, (tool, arguments, label) in enumerate(calls):
            yield CallStarted(index, tool)
            await asyncio.sleep(turn.per_call_ms / 1000)
            yield CallSealed(index, tool, arguments, label)
        for piece in _pieces(answer or ""):
            yield TextDelta(piece)
        written = [answer or "", *(json_text(arguments) for _, arguments, _ in calls)]
        read = [conversation.prompt, *(json_text(result) for result in values["results"])]
        yield Finished(Usage(input_tokens=_words(read), output_tokens=_words(written)), NAME)

    def _turn(self, conversation: Conversation) -> tuple[ScriptedTurn, dict[str, Json]]:
        """Return the turn to play and the values its templates may use."""
        found = self.script.find(conversation.prompt)
        if found is None:
            reason = f"no entry of the script {self.script.file} matches this prompt"
            raise ModelCallFailed(name=NAME, reason=reason)
        entry, match = found
        turn = entry.turns[min(conversation.turn, len(entry.turns)) - 1]
        if conversation.turn > len(entry.turns) and turn.answer is None:
            reason = f"the script {self.script.file} has no turn {conversation.turn} for this prompt"
            raise ModelCallFailed(name=NAME, reason=reason)
        calls = conversation.history[-1].calls if conversation.history else ()
        results = [_result(call) for call in calls]
        return turn, {**match.groupdict(default=""), "prompt": conversation.prompt, "results": results}


def rendered(value: Json, values: dict[str, Json]) -> Json:
    """Return a JSON value with every string in it, however deep, rendered as a template; keys stay as they are."""
    match value:
        case str():
            return Template.parse(value).render(values)
        case dict():
            return {key: rendered(item, values) for key, item in value.items()}
        case list():
            return [rendered(item, values) for item in value]
        case _:
            return value


def _result(call: CallResult) -> Json:
    """Return what a template sees of a call: its result, or the reason there is none."""
    if call.status == "succeeded":
        return call.result
    return FailedResult(call.error.message if call.error else f"the call ended {call.status}")


def _pieces(answer: str) -> Iterator[str]:
    """Cut an answer into a few pieces, as a provider streams it."""
    size = max(1, math.ceil(len(answer) / _ANSWER_CHUNKS))
    for start in range(0, len(answer), size):
        yield answer[start : start + size]


def _words(texts: list[str]) -> int:
    return sum(len(text.split()) for text in texts)
