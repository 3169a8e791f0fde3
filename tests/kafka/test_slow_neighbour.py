"""A slow tool holds up nobody else's calls, however many of its own are queued."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.tools.tool import tool
from streams.faust_consumer import ENOUGH_WAITING, InOrderConsumer
from streams.faust_thread import MAX_POLL_RECORDS
from streams.tools_app import ToolsRole
from tests.support.pipeline import PARTITIONS, Pipeline, call, script
from tests.support.remote_calls import requested
from tests.support.remote_tool import remote
from tests.support.switchboard import Switchboard

SCRIPT = script(("^quick$", [{"calls": [call("echo", text="well")]}, {"answer": "{results[0]}"}]))
MANY = 1_200


@tool
def echo(text: str) -> str:
    """Return the text."""
    return text


@pytest.fixture
async def switchboard(tmp_path: Path) -> AsyncIterator[Switchboard]:
    """Decides when calls of `remote` end."""
    async with Switchboard(tmp_path / "s") as board:
        yield board


async def flood(pipeline: Pipeline, count: int) -> None:
    """Queue calls of `remote` on all partitions."""
    topic = pipeline.routes.tool_topic("remote")
    confirmations = [
        await pipeline.producer.send(topic, requested(pipeline.routes, f"slow-{number}", "slow"), partition=number % 3)
        for number in range(count)
    ]
    await asyncio.gather(*confirmations)


def waiting(role: ToolsRole, topic: str) -> int:
    """Return how many records of a topic wait in a role's memory."""
    assert role._app is not None
    assert isinstance(role._app.consumer, InOrderConsumer)
    return role._app.consumer._waiting[topic]


async def test_thousands_of_slow_calls_do_not_delay_another_tools_calls(
    kafka: str, topic_prefix: str, switchboard: Switchboard
) -> None:
    """All slots of the slow tool are taken and its queue is as full as it gets; the other tool answers at once."""
    switchboard.on_hold = {"slow"}
    async with Pipeline(kafka, topic_prefix, SCRIPT, [echo, remote]) as pipeline:
        tools = pipeline.new_tools()
        await flood(pipeline, MANY)  # beforehand, so that polls return as much as they may
        await pipeline.start(pipeline.new_planner(), tools, pipeline.new_aggregator())
        topic = pipeline.routes.tool_topic("remote")
        await pipeline.tape.until(lambda: waiting(tools, topic) >= ENOUGH_WAITING)
        for _ in range(20):
            async with asyncio.timeout(5):
                assert (await pipeline.ask("quick"))["answer"] == "well"
        assert ENOUGH_WAITING <= waiting(tools, topic) <= ENOUGH_WAITING + MAX_POLL_RECORDS
        # Held up, not lost: every one of them runs once the tool is quick again.
        await switchboard.release("slow")
        await pipeline.tape.until(lambda: len(pipeline.outcomes()) == MANY + 20, 60)
        assert switchboard.began["slow"] == MANY


async def test_a_topic_that_was_held_up_is_read_again_after_a_rebalance(
    kafka: str, topic_prefix: str, switchboard: Switchboard
) -> None:
    """The queue that was too full is emptied by the rebalance; nothing may still wait for it to be taken."""
    switchboard.on_hold = {"slow"}
    many = (ENOUGH_WAITING + MAX_POLL_RECORDS) * PARTITIONS
    async with Pipeline(kafka, topic_prefix, SCRIPT, [echo, remote], drain_seconds=0.2) as pipeline:
        first, second = pipeline.new_tools(), pipeline.new_tools()
        await pipeline.start(first)
        await flood(pipeline, many)
        topic = pipeline.routes.tool_topic("remote")
        await pipeline.tape.until(lambda: waiting(first, topic) >= ENOUGH_WAITING)
        await pipeline.start(second)
        await pipeline.tape.until(lambda: waiting(first, topic) + waiting(second, topic) >= ENOUGH_WAITING)
        await switchboard.release("slow")

        def all_told() -> bool:
            return len({outcome["call_id"] for outcome in pipeline.outcomes()}) == many

        await pipeline.tape.until(all_told, 60)
