"""The end of a role that runs on Faust: certain, soon, and with a status that says what it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.support.pipeline import Pipeline, script
from tests.support.remote_calls import requested
from tests.support.remote_tool import remote
from tests.support.role_process import role_process
from tests.support.switchboard import Switchboard

TOOLS = "tests.support.remote_tool"
SCRIPT = script(("", [{"answer": "done"}]))
DRAIN_SECONDS = 4.0
FEW_SECONDS = 3.0


@pytest.fixture
async def switchboard(tmp_path: Path) -> AsyncIterator[Switchboard]:
    """Decides when calls of `remote` end."""
    async with Switchboard(tmp_path / "s") as board:
        yield board


async def test_a_role_with_a_call_that_does_not_end_stops_after_its_drain_time(
    kafka: str, topic_prefix: str, switchboard: Switchboard
) -> None:
    """SIGTERM in the middle of a call of up to a minute: the process is gone in time, with status 0."""
    switchboard.on_hold = {"stuck"}
    async with Pipeline(kafka, topic_prefix, SCRIPT, [remote]) as pipeline:
        environment = {"ORCHESTRATOR_TOOLS": TOOLS, "ORCHESTRATOR_DRAIN_SECONDS": str(DRAIN_SECONDS)}
        async with role_process(pipeline, "tools", **environment) as process:
            topic = pipeline.routes.tool_topic("remote")
            await pipeline.produce(topic, requested(pipeline.routes, "stuck", "stuck"))
            await switchboard.until_began("stuck")
            start = time.monotonic()
            process.terminate()
            async with asyncio.timeout(30):
                status = await process.wait()
            assert status == 0
            assert DRAIN_SECONDS <= time.monotonic() - start < DRAIN_SECONDS + FEW_SECONDS
        assert not pipeline.outcomes()


async def test_a_role_whose_outcome_the_broker_refuses_ends_by_itself_and_says_so(
    kafka: str, topic_prefix: str, switchboard: Switchboard
) -> None:
    """The call stays uncommitted, so there is nothing to wait for: whoever supervises the role starts it again."""
    async with Pipeline(kafka, topic_prefix, SCRIPT, [remote]) as pipeline:
        limit = ConfigResource(ConfigResourceType.TOPIC, pipeline.routes.run_events, {"max.message.bytes": "1"})
        await pipeline._admin.alter_configs([limit])
        environment = {"ORCHESTRATOR_TOOLS": TOOLS, "ORCHESTRATOR_DRAIN_SECONDS": "60"}
        async with role_process(pipeline, "tools", **environment) as process:
            topic = pipeline.routes.tool_topic("remote")
            await pipeline.produce(topic, requested(pipeline.routes, "refused", "refused"))
            async with asyncio.timeout(15):
                status = await process.wait()
            assert status not in {0, None}
        assert switchboard.began == {"refused": 1}


@pytest.mark.parametrize(
    ("topic", "partition", "reason"),
    [("nowhere", 0, "reply_to.topic"), ("responses", 0, "reply_to.topic"), ("run-events", 99, "reply_to.partition")],
)
async def test_a_call_that_cannot_be_answered_is_a_dead_letter_and_is_not_run(
    kafka: str, topic_prefix: str, switchboard: Switchboard, topic: str, partition: int, reason: str
) -> None:
    """Where its outcome should go is nowhere: that is the fault of the call, not of the role, which goes on."""
    async with Pipeline(kafka, topic_prefix, SCRIPT, [remote]) as pipeline:
        await pipeline.start(pipeline.new_tools())
        elsewhere = pipeline.routes.reply_to(partition).model_copy(update={"topic": pipeline.routes.topic(topic)})
        calls = pipeline.routes.tool_topic("remote")
        bad = requested(pipeline.routes, "bad", "bad", elsewhere)
        await pipeline.produce(calls, bad, partition=0)
        await pipeline.produce(calls, requested(pipeline.routes, "good", "good"), partition=0)
        letter = await pipeline.dead_letter(bad)
        assert reason in dict(letter.headers)["dlq-cause"].decode()
        await pipeline.tape.until(pipeline.outcomes)
        assert [outcome["call_id"] for outcome in pipeline.outcomes()] == ["call-good"]
        assert switchboard.began == {"good": 1}
