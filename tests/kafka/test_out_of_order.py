"""What was finished out of order is known to the next owner, and work does not run ahead without bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from faust.types import TP

import streams.faust_consumer
from streams import topology
from streams.faust_consumer import ENOUGH_WAITING, InOrderConsumer
from streams.faust_thread import MAX_POLL_RECORDS
from streams.membership import Membership
from streams.offsets import InOrderOffsets
from streams.tools_app import ToolsRole
from tests.support.pipeline import Pipeline, script
from tests.support.remote_calls import requested
from tests.support.remote_tool import remote
from tests.support.role_process import role_process
from tests.support.switchboard import Switchboard

SCRIPT = script(("", [{"answer": "unused"}]))
TOOLS = "tests.support.remote_tool"


@pytest.fixture
async def switchboard(tmp_path: Path) -> AsyncIterator[Switchboard]:
    """Decides when calls of `remote` end."""
    async with Switchboard(tmp_path / "s") as board:
        yield board


async def send_calls(pipeline: Pipeline, *texts: str) -> TopicPartition:
    """Queue one call per text on one partition; return it."""
    topic = pipeline.routes.tool_topic("remote")
    for text in texts:
        await pipeline.producer.send_and_wait(topic, requested(pipeline.routes, text, text), partition=0)
    return TopicPartition(topic, 0)


def offsets_of(tools: ToolsRole, source: TopicPartition) -> InOrderOffsets:
    """Return what a role knows of a partition."""
    assert tools._app is not None
    assert isinstance(tools._app.consumer, InOrderConsumer)
    return tools._app.consumer._offsets.get(TP(source.topic, source.partition), InOrderOffsets())


def rests(tools: ToolsRole, source: TopicPartition) -> bool:
    """Tell whether only one call is unfinished and no other waits in memory, although there are more to read."""
    assert tools._app is not None
    assert isinstance(tools._app.consumer, InOrderConsumer)
    offsets = offsets_of(tools, source)
    waiting = tools._app.consumer._waiting[source.topic]
    return len(offsets) == 1 and waiting == 0 and offsets.lead >= streams.faust_consumer.MAX_LEAD


async def test_a_crash_repeats_only_what_was_in_flight(kafka: str, topic_prefix: str, switchboard: Switchboard) -> None:
    """One slow call at the head, ten finished ones behind it: after SIGKILL the slow one runs again, and no other."""
    switchboard.on_hold = {"slow"}
    quick = [f"quick-{number}" for number in range(10)]
    async with Pipeline(kafka, topic_prefix, SCRIPT, [remote]) as pipeline:
        async with role_process(pipeline, "tools", ORCHESTRATOR_TOOLS=TOOLS) as tools:
            source = await send_calls(pipeline, "slow", *quick)
            await pipeline.tape.until(lambda: len(pipeline.outcomes()) == len(quick))
            await pipeline.until_finished_ahead(topology.TOOLS, source, set(range(1, 11)))
            tools.kill()
            await tools.wait()
        await pipeline.start(pipeline.new_tools())
        async with asyncio.timeout(20):
            while switchboard.began["slow"] < 2:  # noqa: ASYNC110 - a counter tells nobody
                await asyncio.sleep(0.02)
        await switchboard.release("slow")
        await pipeline.until_committed(topology.TOOLS, source, 11)
        assert switchboard.began == {"slow": 2, **dict.fromkeys(quick, 1)}
        await pipeline.until_finished_ahead(topology.TOOLS, source, set())


async def test_work_runs_ahead_of_a_slow_call_so_far_and_no_further(
    kafka: str, topic_prefix: str, switchboard: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound the rest waits in Kafka, and goes on as soon as the slow one is done."""
    bound, many = 50, 400
    monkeypatch.setattr(streams.faust_consumer, "MAX_LEAD", bound)
    switchboard.on_hold = {"slow"}
    quick = [f"quick-{number}" for number in range(many)]
    async with Pipeline(kafka, topic_prefix, SCRIPT, [remote], max_parallel_per_tool=5) as pipeline:
        source = await send_calls(pipeline, "slow", *quick)
        tools = pipeline.new_tools()
        await pipeline.start(tools)
        await pipeline.tape.until(lambda: rests(tools, source))
        lead = offsets_of(tools, source).lead
        assert bound <= lead < bound + ENOUGH_WAITING + MAX_POLL_RECORDS < many
        await switchboard.release("slow")
        await pipeline.tape.until(lambda: len(pipeline.outcomes()) == many + 1)
        assert set(switchboard.began.values()) == {1}


async def test_nothing_is_begun_while_the_group_may_have_replaced_us(
    kafka: str, topic_prefix: str, switchboard: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stood still may find its queued calls done by another: it waits for the group's answer first."""
    certain = asyncio.Event()
    asked: asyncio.Queue[None] = asyncio.Queue()

    async def until_certain(_: Membership) -> None:
        asked.put_nowait(None)
        await certain.wait()

    monkeypatch.setattr(Membership, "certain", until_certain)
    async with Pipeline(kafka, topic_prefix, SCRIPT, [remote]) as pipeline:
        await pipeline.start(pipeline.new_tools())
        await send_calls(pipeline, "queued")
        async with asyncio.timeout(10):
            await asked.get()
        assert not switchboard.began
        certain.set()
        await pipeline.tape.until(pipeline.outcomes)
        assert switchboard.began == {"queued": 1}
