"""A run ends by its deadline and one second, whatever does not answer."""

from __future__ import annotations

import asyncio

from agents.tools.tool import tool
from schemas.codec import encode
from schemas.failure import Failure, FailureCode
from schemas.plan import PlanFailed
from tests.support.pipeline import Pipeline, call, running, script

SCRIPT = script(
    ("^only slow$", [{"calls": [call("sleep_long")]}, {"answer": "done"}]),
    ("^fast and slow$", [{"calls": [call("echo", text="kept"), call("sleep_long")]}, {"answer": "done"}]),
    ("^only fast$", [{"calls": [call("echo", text="quick")]}, {"answer": "{results[0]}"}]),
    ("^think long$", [{"first_token_ms": 60_000, "answer": "done"}]),
)
GRACE_MS = 1000


@tool
def echo(text: str) -> str:
    """Return the text."""
    return text


@tool(timeout_ms=60_000)
async def sleep_long() -> None:
    """Sleep until cancelled."""
    await asyncio.Event().wait()


async def test_a_slow_tool_or_model_does_not_hold_up_the_response(kafka: str, topic_prefix: str) -> None:
    """With a result so far the run is `partial`, with none `timed_out`; what did not end says so."""
    async with running(kafka, topic_prefix, SCRIPT, [echo, sleep_long]) as pipeline:
        partial, timed_out, thinking = await asyncio.gather(
            pipeline.ask("fast and slow", timeout_ms=700),
            pipeline.ask("only slow", timeout_ms=800),
            pipeline.ask("think long", timeout_ms=900),
        )
        assert [one["status"] for one in partial["results"]] == ["succeeded", "timed_out"]
        assert (partial["status"], partial["results"][0]["result"]) == ("partial", "kept")
        assert partial["error"]["code"] == "deadline_exceeded"
        assert partial["duration_ms"] < 700 + GRACE_MS
        assert timed_out["status"] == "timed_out"
        assert timed_out["results"][0]["status"] == "timed_out"
        assert timed_out["duration_ms"] < 800 + GRACE_MS
        assert thinking["status"] == "timed_out"
        assert thinking["error"]["code"] == "deadline_exceeded"
        assert thinking["duration_ms"] < 900 + GRACE_MS
        await pipeline.assert_answered_once(*(one["correlation_id"] for one in (partial, timed_out, thinking)))


async def test_calls_that_nobody_reads_time_out(kafka: str, topic_prefix: str) -> None:
    """Without any tools process the deadline still comes; the call is found expired, not run, by who comes later."""
    ran: list[str] = []

    @tool
    def late(text: str) -> str:
        ran.append(text)
        return text

    text = script(("^late$", [{"calls": [call("late", text="x")]}, {"answer": "done"}]))
    async with Pipeline(kafka, topic_prefix, text, [late]) as pipeline:
        await pipeline.start(pipeline.new_planner(), pipeline.new_aggregator())
        response = await pipeline.ask("late", timeout_ms=500)
        assert response["status"] == "timed_out"
        assert response["error"]["code"] == "deadline_exceeded"
        assert response["results"][0]["status"] == "timed_out"
        assert 500 <= response["duration_ms"] < 500 + GRACE_MS
        await pipeline.start(pipeline.new_tools())
        await pipeline.assert_answered_once(response["correlation_id"])
        assert not ran


async def test_requests_that_nobody_plans_time_out(kafka: str, topic_prefix: str) -> None:
    """Without any planner too: the aggregator alone keeps the promise."""
    async with Pipeline(kafka, topic_prefix, SCRIPT, [echo, sleep_long]) as pipeline:
        await pipeline.start(pipeline.new_aggregator())
        response = await pipeline.ask("only slow", timeout_ms=300)
        assert response["status"] == "timed_out"
        assert 300 <= response["duration_ms"] < 300 + GRACE_MS


async def test_a_slow_tool_holds_up_no_other_tool(kafka: str, topic_prefix: str) -> None:
    """More calls hang than may run at once of one tool; calls of another tool of the same process pass them by."""
    async with running(kafka, topic_prefix, SCRIPT, [echo, sleep_long], max_parallel_per_tool=2) as pipeline:
        hanging = asyncio.gather(*(pipeline.ask("only slow", timeout_ms=3_000) for _ in range(10)))
        await pipeline.tape.until(lambda: len(pipeline.tape.of(pipeline.routes.tool_topic("sleep_long"))) == 10)
        quick = await pipeline.ask("only fast")
        assert (quick["status"], quick["answer"]) == ("completed", "quick")
        assert not hanging.done()
        assert {one["status"] for one in await hanging} == {"timed_out"}


async def test_a_plan_that_ran_into_the_deadline_is_no_failure_of_the_model(kafka: str, topic_prefix: str) -> None:
    """Whether the planner or the aggregator notices first that time is up: the run has `timed_out`."""
    async with Pipeline(kafka, topic_prefix, SCRIPT, [echo, sleep_long]) as pipeline:
        await pipeline.start(pipeline.new_aggregator())
        error = Failure(code=FailureCode.DEADLINE_EXCEEDED, message="the deadline came before the plan was complete")
        plan = PlanFailed(correlation_id="noticed", turn=1, error=error)
        await pipeline.submit({"prompt": "think long"}, b"noticed", 0)
        await pipeline.produce(pipeline.routes.run_events, encode(plan), b"noticed", 0)
        assert (await pipeline.response("noticed"))["status"] == "timed_out"
