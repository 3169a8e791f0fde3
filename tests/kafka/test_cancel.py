"""A cancelled run ends at once, and nobody goes on working for it."""

from __future__ import annotations

import asyncio

from agents.tools.tool import tool
from schemas.codec import encode
from schemas.control import CancelRequested
from tests.support.pipeline import Document, Pipeline, call, running, script

SCRIPT = script(
    ("^two hang$", [{"calls": [call("hang", name="a"), call("hang", name="b")]}, {"answer": "done"}]),
    ("^think$", [{"first_token_ms": 60_000, "calls": [call("hang", name="c")]}]),
    ("^other$", [{"calls": [call("hang", name="other")]}, {"answer": "done"}]),
)


class Hanging:
    """A tool that hangs until it is released, and tells what began and how it ended."""

    def __init__(self) -> None:
        """Start with nothing begun."""
        self.began: asyncio.Queue[str] = asyncio.Queue()
        self.stopped: asyncio.Queue[str] = asyncio.Queue()
        self.release = asyncio.Event()

    async def hang(self, name: str) -> str:
        """Hang."""
        self.began.put_nowait(name)
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.stopped.put_nowait(name)
            raise
        return name


async def cancel(pipeline: Pipeline, run: str, partition: int) -> None:
    """Ask for the end of a run, as anyone may who knows where it lives."""
    event = CancelRequested(correlation_id=run, reason="changed my mind")
    await pipeline.produce(pipeline.routes.run_events, encode(event), run.encode(), partition)


async def test_a_cancelled_run_is_answered_and_its_calls_stop(kafka: str, topic_prefix: str) -> None:
    """What runs is stopped, what is queued is not run, what is being planned is dropped; other runs go on."""
    hanging = Hanging()
    tools = [tool(name="hang", timeout_ms=60_000)(hanging.hang)]
    async with running(kafka, topic_prefix, SCRIPT, tools, max_parallel=2, max_parallel_per_tool=2) as pipeline:
        other = await pipeline.submit({"prompt": "other"}, b"other", 0)
        assert await hanging.began.get() == "other"
        await pipeline.submit({"prompt": "two hang"}, b"mine", 0)
        first = await hanging.began.get()
        await pipeline.submit({"prompt": "think"}, b"thinking", 0)
        await pipeline.tape.until(lambda: len(pipeline.tape.of(pipeline.routes.tool_topic("hang"))) == 3)
        await asyncio.gather(cancel(pipeline, "mine", 0), cancel(pipeline, "thinking", 0))
        response = await pipeline.response("mine")
        assert (response["status"], response["error"]["message"]) == ("cancelled", "changed my mind")
        assert await hanging.stopped.get() == first
        assert (await pipeline.response("thinking"))["status"] == "cancelled"
        hanging.release.set()
        assert (await pipeline.response("other"))["answer"] == "done"
        await pipeline.assert_answered_once("mine", "thinking", "other")
        assert hanging.began.empty(), "the queued call was not run, nor any that was being planned"
        assert other.partition == 0


async def test_a_run_cancelled_between_results_keeps_them(kafka: str, topic_prefix: str) -> None:
    """The response lists what had finished and what was cancelled."""
    hanging = Hanging()

    @tool
    def quick(text: str) -> str:
        """Return at once."""
        return text

    text = script(("", [{"calls": [call("quick", text="kept"), call("hang", name="a")]}, {"answer": "done"}]))
    tools = [tool(name="hang", timeout_ms=60_000)(hanging.hang), quick]
    async with running(kafka, topic_prefix, text, tools) as pipeline:
        sent = await pipeline.submit({"prompt": "go"}, b"mine")
        await hanging.began.get()
        await pipeline.tape.until(pipeline.outcomes)
        await cancel(pipeline, "mine", sent.partition)
        response: Document = await pipeline.response("mine")
        assert [(one["status"], one["result"]) for one in response["results"]] == [
            ("succeeded", "kept"),
            ("cancelled", None),
        ]
        await pipeline.assert_answered_once("mine")
