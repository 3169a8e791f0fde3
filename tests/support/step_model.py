"""A model that says what a test tells it to say, when the test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from agents.llm.model import CallSealed, Conversation, Finished, ModelEvent, TextDelta
from schemas.base import Json
from schemas.run import Usage


class StepModel:
    """Streams what is put in, one event at a time; an exception that is put in is raised."""

    def __init__(self) -> None:
        """Start with nothing to say."""
        self.asked: list[Conversation] = []
        self._steps: asyncio.Queue[ModelEvent | BaseException | None] = asyncio.Queue()
        self._index = 0

    def text(self, text: str) -> StepModel:
        """Say a piece of text."""
        self._steps.put_nowait(TextDelta(text))
        return self

    def call(self, tool: str, arguments: Json) -> StepModel:
        """Seal a call."""
        self._steps.put_nowait(CallSealed(self._index, tool, arguments))
        self._index += 1
        return self

    def fail(self, error: BaseException) -> StepModel:
        """Raise instead of going on."""
        self._steps.put_nowait(error)
        return self

    def finish(self) -> StepModel:
        """End the turn."""
        self._steps.put_nowait(Finished(Usage(input_tokens=7, output_tokens=3), "step-1"))
        self._steps.put_nowait(None)
        return self

    async def stream(self, conversation: Conversation) -> AsyncGenerator[ModelEvent, None]:
        """Yield what is put in until the turn ends."""
        self.asked.append(conversation)
        while (step := await self._steps.get()) is not None:
            if isinstance(step, BaseException):
                raise step
            yield step
