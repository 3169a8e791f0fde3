"""A process is stopped or killed in the middle, and another goes on where it was: nothing is lost, nothing doubled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streams import topology
from tests.support.busy_tool import work
from tests.support.pipeline import Pipeline, call, running, script
from tests.support.remote_tool import remote
from tests.support.role_process import role_process
from tests.support.switchboard import Switchboard

TOOLS = "tests.support.remote_tool"
SCRIPT = script(
    (r"^remote (?P<text>[\w-]+)$", [{"calls": [call("remote", text="{text}")]}, {"answer": "{results[0]}"}]),
    (
        "^first, second$",
        [{"per_call_ms": 1500, "calls": [call("remote", text="first"), call("remote", text="second")]}],
    ),
)
BUSY = script(
    (
        r"^work (?P<n>\d+)$",
        [{"calls": [call("work", n="{n:int}"), call("work", n=0)]}, {"answer": "{results[0]}"}],
    )
)


@pytest.fixture
async def switchboard(tmp_path: Path) -> AsyncIterator[Switchboard]:
    """Decides when calls of `remote` end."""
    async with Switchboard(tmp_path / "s") as board:
        yield board


async def test_an_aggregator_that_is_replaced_between_results_loses_nothing(
    kafka: str, topic_prefix: str, switchboard: Switchboard
) -> None:
    """One result is in, one is not: the next owner has the first from the changelog and waits for the second."""
    switchboard.on_hold = {"second"}
    text = script(("", [{"calls": [call("remote", text="first"), call("remote", text="second")]}, {"answer": "done"}]))
    async with Pipeline(kafka, topic_prefix, text, [remote]) as pipeline:
        first, second = pipeline.new_aggregator(), pipeline.new_aggregator()
        await pipeline.start(pipeline.new_planner(), pipeline.new_tools(), first)
        await pipeline.submit({"prompt": "go"}, b"replaced")
        await pipeline.tape.until(pipeline.outcomes)
        await pipeline.settled(topology.AGGREGATOR)
        await pipeline.stop(first)
        await switchboard.release("second")
        await pipeline.tape.until(lambda: len(pipeline.outcomes()) == 2)
        assert not pipeline.responses()
        await pipeline.start(second)
        response = await pipeline.response("replaced")
        assert response["status"] == "completed"
        assert [one["result"] for one in response["results"]] == ["answer to first", "answer to second"]
        await pipeline.assert_answered_once("replaced")


async def test_a_killed_aggregator_loses_and_doubles_nothing(kafka: str, topic_prefix: str) -> None:
    """SIGKILL in the middle of a hundred runs; the next one is up long before the group notices the death."""
    async with Pipeline(kafka, topic_prefix, BUSY, [work]) as pipeline:
        await pipeline.start(pipeline.new_planner(), pipeline.new_tools())
        async with role_process(pipeline, "aggregator", ORCHESTRATOR_TOOLS="tests.support.busy_tool") as aggregator:
            names = [f"run-{number}" for number in range(1, 101)]
            requests = [pipeline.submit({"prompt": f"work {name[4:]}"}, name.encode()) for name in names]
            await asyncio.gather(*requests)
            await pipeline.answered(20)
            aggregator.kill()
            await aggregator.wait()
        answered = len(pipeline.responses())
        assert answered < len(names), "it was killed too late to show anything"
        await pipeline.start(pipeline.new_aggregator())
        await pipeline.answered(len(names))
        await pipeline.assert_answered_once(*names)
        answers = {name: found[0]["answer"] for name, found in pipeline.responses().items()}
        assert answers == {name: name[4:] for name in names}


async def test_a_killed_planner_makes_its_plan_again_and_finds_the_calls_that_ran(
    kafka: str, topic_prefix: str, switchboard: Switchboard, tmp_path: Path
) -> None:
    """The first call has run, the second is not written yet: the new plan has the same call, which is not run again."""
    path = tmp_path / "script.yaml"
    path.write_text(SCRIPT)
    async with Pipeline(kafka, topic_prefix, SCRIPT, [remote]) as pipeline:
        await pipeline.start(pipeline.new_tools(), pipeline.new_aggregator())
        async with role_process(
            pipeline, "planner", ORCHESTRATOR_SCRIPT=str(path), ORCHESTRATOR_TOOLS=TOOLS
        ) as planner:
            await pipeline.submit({"prompt": "first, second", "mode": "results"}, b"replanned")
            await pipeline.tape.until(pipeline.outcomes)
            planner.kill()
            await planner.wait()
        assert switchboard.began == {"first": 1}
        await pipeline.tape.wind()
        assert not any(b'"plan.created"' in (one.value or b"") for one in pipeline.tape.of(pipeline.routes.run_events))
        await pipeline.start(pipeline.new_planner())
        response = await pipeline.response("replanned")
        assert response["status"] == "completed"
        assert [one["result"] for one in response["results"]] == ["answer to first", "answer to second"]
        await pipeline.assert_answered_once("replanned")
        assert switchboard.began == {"first": 1, "second": 1}
        published = [one.key for one in pipeline.tape.of(pipeline.routes.tool_topic("remote"))]
        assert len(published) == 3, "the first call was published by both planners"
        assert len(set(published)) == 2


async def test_calls_of_a_killed_tools_process_are_repeated_by_the_next(
    kafka: str, topic_prefix: str, switchboard: Switchboard
) -> None:
    """What was in flight runs again, what had finished does not, and each run has one response."""
    switchboard.on_hold = {"held-1", "held-2", "held-3"}
    async with Pipeline(kafka, topic_prefix, SCRIPT, [remote]) as pipeline:
        await pipeline.start(pipeline.new_planner(), pipeline.new_aggregator())
        async with role_process(pipeline, "tools", ORCHESTRATOR_TOOLS=TOOLS) as tools:
            await pipeline.submit({"prompt": "remote done"}, b"done")
            await pipeline.response("done")
            await pipeline.settled()
            for text in sorted(switchboard.on_hold):
                await pipeline.submit({"prompt": f"remote {text}"}, text.encode())
            await switchboard.until_began(*switchboard.on_hold)
            tools.kill()
            await tools.wait()
        await switchboard.release("held-1", "held-2", "held-3")
        await pipeline.start(pipeline.new_tools())
        for text in ("held-1", "held-2", "held-3"):
            assert (await pipeline.response(text))["answer"] == f"answer to {text}"
        await pipeline.assert_answered_once("done", "held-1", "held-2", "held-3")
        assert switchboard.began == {"done": 1, "held-1": 2, "held-2": 2, "held-3": 2}


async def test_a_tools_process_that_stops_in_order_finishes_its_calls_first(
    kafka: str, topic_prefix: str, switchboard: Switchboard
) -> None:
    """Its calls are committed before it leaves, so its successor has nothing to repeat."""
    switchboard.on_hold = {"held"}
    async with running(kafka, topic_prefix, SCRIPT, [remote]) as pipeline:
        await pipeline.submit({"prompt": "remote held"}, b"drained")
        await switchboard.until_began("held")
        leaving = pipeline.roles[1]
        stopping = asyncio.create_task(pipeline.stop(leaving))
        arriving = asyncio.create_task(pipeline.start(pipeline.new_tools()))
        await switchboard.release("held")
        await asyncio.gather(stopping, arriving)
        assert (await pipeline.response("drained"))["answer"] == "answer to held"
        await pipeline.assert_answered_once("drained")
        assert switchboard.began == {"held": 1}


async def test_a_call_that_does_not_end_holds_up_a_stop_for_the_drain_time_once(
    kafka: str, topic_prefix: str, switchboard: Switchboard
) -> None:
    """After it the call is left to the next owner: so the time after which a role may be killed can be known."""
    switchboard.on_hold = {"stuck"}
    async with running(kafka, topic_prefix, SCRIPT, [remote], drain_seconds=2) as pipeline:
        await pipeline.submit({"prompt": "remote stuck"}, b"stuck")
        await switchboard.until_began("stuck")
        start = time.monotonic()
        await pipeline.stop(pipeline.roles[1])
        assert time.monotonic() - start < 3
