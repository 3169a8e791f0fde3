"""A group that is shared anew again and again under load: every call is answered."""

from __future__ import annotations

import asyncio

from agents.tools.tool import tool
from streams import topology
from tests.support.pipeline import Pipeline, script
from tests.support.remote_calls import requested

SCRIPT = script(("", [{"answer": "done"}]))
MANY = 3_000
CHANGES = 5


@tool
async def remote(text: str) -> str:
    """Return the text after a moment."""
    await asyncio.sleep(0.005)
    return text


async def test_calls_are_answered_whoever_joins_and_leaves_meanwhile(kafka: str, topic_prefix: str) -> None:
    """Records that were read and dropped during a rebalance are read again, also where nothing was committed yet."""
    async with Pipeline(kafka, topic_prefix, SCRIPT, [remote], drain_seconds=0.5) as pipeline:
        topic = pipeline.routes.tool_topic("remote")

        async def produce() -> None:
            for number in range(MANY):
                await pipeline.producer.send(topic, requested(pipeline.routes, str(number), "x"), partition=number % 3)
                if not number % 100:
                    await asyncio.sleep(0.05)
            await pipeline.producer.flush()

        await pipeline.start(pipeline.new_tools())
        producing = asyncio.create_task(produce())
        for _ in range(CHANGES):
            await pipeline.start(pipeline.new_tools())
            await pipeline.stop(pipeline.roles[0])
        await producing

        def answered() -> bool:
            return len({outcome["call_id"] for outcome in pipeline.outcomes()}) == MANY

        await pipeline.tape.until(answered, 60)
        await pipeline.settled(topology.TOOLS)
