"""Offsets are committed in order: never past a record whose work is not done."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from agents.llm.model import Conversation, Finished, ModelEvent, TextDelta
from schemas.codec import encode
from schemas.tool_call import ToolCallRequested
from streams import topology
from tests.support.pipeline import Pipeline, read, script
from tests.support.remote_tool import remote
from tests.support.switchboard import Switchboard

SCRIPT = script(("", [{"answer": "done"}]))


@pytest.fixture
async def switchboard(tmp_path: Path) -> AsyncIterator[Switchboard]:
    """Decides when calls of `remote` end."""
    async with Switchboard(tmp_path / "s") as board:
        yield board


class HeldModel:
    """Answers every prompt at once, except those the switchboard holds."""

    def __init__(self, switchboard: Switchboard) -> None:
        """Take who decides."""
        self._switchboard = switchboard

    async def stream(self, conversation: Conversation) -> AsyncGenerator[ModelEvent, None]:
        """Answer with the prompt."""
        await self._switchboard.answer(conversation.prompt)
        yield TextDelta(conversation.prompt)
        yield Finished()


def requested(pipeline: Pipeline, text: str) -> bytes:
    """Write a call of `remote`."""
    return encode(
        ToolCallRequested(
            correlation_id=f"run-{text}",
            call_id=f"call-{text}",
            turn=1,
            tool="remote",
            arguments={"text": text},
            deadline_at=datetime.now(UTC) + timedelta(minutes=1),
            reply_to=pipeline.routes.reply_to(0),
        )
    )


def plans(pipeline: Pipeline) -> list[str]:
    """Return the texts of all plans so far."""
    events = map(read, pipeline.tape.of(pipeline.routes.run_events))
    return [event["text"] for event in events if event["type"] == "plan.created"]


async def test_tools_never_commit_past_a_call_that_still_runs(
    kafka: str, topic_prefix: str, switchboard: Switchboard
) -> None:
    """The second of five hangs: the later ones are done and told, and yet only the first is committed."""
    switchboard.on_hold = {"slow"}
    async with Pipeline(kafka, topic_prefix, SCRIPT, [remote]) as pipeline:
        await pipeline.start(pipeline.new_tools())
        topic = pipeline.routes.tool_topic("remote")
        here, there = TopicPartition(topic, 0), TopicPartition(topic, 1)
        for text in ("first", "slow", "third", "fourth", "fifth"):
            await pipeline.produce(topic, requested(pipeline, text), partition=0)
        await pipeline.tape.until(lambda: len(pipeline.outcomes()) == 4)
        # All partitions are committed together: once a call that came later is, the others had their chance.
        await pipeline.produce(topic, requested(pipeline, "elsewhere"), partition=1)
        await pipeline.until_committed(topology.TOOLS, there, 1)
        assert await pipeline.committed(topology.TOOLS) == {here: 1, there: 1}
        await switchboard.release("slow")
        await pipeline.until_committed(topology.TOOLS, here, 5)
        assert await pipeline.committed(topology.TOOLS) == {here: 5, there: 1}


async def test_planners_never_commit_past_a_turn_that_is_still_planned(
    kafka: str, topic_prefix: str, switchboard: Switchboard
) -> None:
    """The first of four requests keeps the model thinking: nothing of that partition is committed until it is done."""
    switchboard.on_hold = {"slow"}
    async with Pipeline(kafka, topic_prefix, SCRIPT, [remote]) as pipeline:
        await pipeline.start(pipeline.new_planner(HeldModel(switchboard)))
        requests = pipeline.routes.requests
        here, there = TopicPartition(requests, 0), TopicPartition(requests, 1)
        for prompt in ("slow", "second", "third", "fourth"):
            await pipeline.submit({"prompt": prompt}, partition=0)
        await pipeline.tape.until(lambda: len(plans(pipeline)) == 3)
        await pipeline.submit({"prompt": "elsewhere"}, partition=1)
        await pipeline.until_committed(topology.PLANNER, there, 1)
        assert (await pipeline.committed(topology.PLANNER)).get(here, 0) == 0
        await switchboard.release("slow")
        await pipeline.until_committed(topology.PLANNER, here, 4)
        assert sorted(plans(pipeline)) == ["elsewhere", "fourth", "second", "slow", "third"]
